import { z } from 'zod';
import { usageError } from '../cli-error.js';
import { health, metrics } from './look/answer-schemas.js';
import type { Observations } from './observations.js';

const text = z.string();
const number = z.number();
const texts = z.array(text);
const refusal = z.looseObject({ status: number, code: text, message: text });
const token = z.looseObject({
  source: text.nullable(),
  issued_at: number.nullable(),
  expires_at: number.nullable(),
  refusal: refusal.nullable(),
});
/** JSON has no `Infinity`: it is written as null. */
const limit = number.nullable().transform((value) => value ?? Infinity);

const admin = z.looseObject({
  silent_replicas: texts.nullable(),
  replicas: z.array(metrics).nullable(),
  settings: z
    .looseObject({
      max_connections: number,
      max_message_bytes: limit,
      heartbeat_interval_secs: number,
      leeway_secs: number,
      mailbox_capacity: limit.optional(),
    })
    .nullable(),
  stopped_actors: z
    .array(z.looseObject({ actor_id: text, replica_id: text, last_error: text.nullable() }))
    .nullable(),
  alerts: z
    .array(
      z.looseObject({
        at: number,
        severity: text,
        kind: text,
        message: text,
        replica_id: text.optional(),
        details: z.looseObject({ differences: texts.optional() }).optional(),
      }),
    )
    .nullable(),
  rates_switched_by: text.nullable(),
  frozen: texts.nullable(),
  longest_mailbox: z.looseObject({ actor_id: text, mailbox_size: number }).nullish(),
});

/** What `--save` writes. Releases before this one have written less, where a field is optional. */
const bundle = z.looseObject({
  format: z.literal(1),
  at: number,
  url: text.refine((url) => /^https?:/.test(url) && URL.canParse(url), 'no address'),
  reach: z.looseObject({
    addresses: texts,
    problem: text.nullable(),
    status: number.nullable(),
    answer_ms: number.nullable(),
    clock_ahead_ms: number.nullable(),
    tls: z
      .looseObject({ expires_at: number, problem: text.nullable(), valid_from: number.optional() })
      .nullable(),
    problem_kind: z.enum(['timeout', 'unreachable', 'no_tls', 'no_http', 'closed']).nullish(),
    answer: z.looseObject({ code: text, message: text, location: text.nullable() }).nullish(),
  }),
  health: health.nullable(),
  metrics: metrics.nullable(),
  token,
  operator: token,
  admin: admin.nullable(),
  upgrade: refusal.nullable(),
  polling: z.looseObject({ lost: number, requests: number, refusal: refusal.optional() }).nullable(),
  probe: z
    .looseObject({
      sent: number,
      received: number,
      slowest_ms: number.nullable(),
      clock_ahead_ms: number.nullable(),
      failures: z.array(
        z.looseObject({
          url: text,
          step: z.enum(['connect', 'subscribe', 'publish', 'receive', 'order']),
          code: text,
          message: text,
        }),
      ),
    })
    .nullable(),
  idle: z
    .looseObject({ asked_ms: number, closed_after_ms: number.nullable(), heartbeats: number.optional() })
    .nullable(),
  replicas: z.array(
    z.looseObject({ url: text, problem: text.nullable(), version: text.nullable(), differences: texts }),
  ),
  redis: z
    .looseObject({
      address: text,
      problem: text.nullable(),
      ping_ms: z.looseObject({ median: number, worst: number }).nullable(),
      version: text.nullable(),
      advice: z.array(z.looseObject({ kind: text, problem: text, remedy: text })),
      fields: z.record(text, text),
      policy: text.nullable(),
      denied: texts,
    })
    .nullish(),
});

/** Reads what `--save` has written. @throws CliError that names the field which has another form */
export function readObservations(file: string, written: string): Observations {
  const stranger = `${file} was not written by rtc doctor --save of this version`;
  let value: unknown;
  try {
    value = JSON.parse(written);
  } catch {
    throw usageError(`${stranger}: it is no JSON`);
  }
  const { data, error } = bundle.safeParse(value);
  if (data !== undefined) return data as Observations;
  const [{ path, message } = { path: [], message: '' }] = error?.issues ?? [];
  throw usageError(`${stranger}: ${path.length === 0 ? 'it' : path.join('.')}: ${message}`);
}
