import { z } from 'zod';
import type { HealthObservation } from '../observations.js';

/**
 * The answers of the service, as far as they are looked at. What has another form is not of the service, or of one that this `rtc` does not know:
 * it counts as not answered.
 */
export const health = z.looseObject({
  status: z.string(),
  phase: z.string(),
  mode: z.string(),
  accepts_connections: z.boolean(),
  presence: z.string(),
  frozen_topics: z.number(),
  replica_id: z.string(),
  version: z.string(),
  connections: z.number(),
  redis: z.looseObject({
    state: z.enum(['up', 'down', 'none']),
    outage: z.string().nullable(),
    writes: z.string(),
    refused_by: z.string().nullish(),
    memory: z.looseObject({ level: z.string() }).nullable(),
    adapter_denied: z.boolean().optional(),
  }),
});

export const metrics = z.looseObject({
  replica_id: z.string(),
  active_connections: z.number(),
  actors: z.looseObject({ stopped: z.number() }),
  outboxes: z.looseObject({ slow: z.number() }),
  event_loop_lag_ms: z.looseObject({ recent_p99: z.number() }),
  memory: z
    .looseObject({
      rss_bytes: z.number(),
      heap_used_bytes: z.number(),
      heap_limit_bytes: z.number().optional(),
      limit_bytes: z.number().optional(),
    })
    .optional(),
  file_descriptors: z.looseObject({ open: z.number().nullable(), limit: z.number().nullable() }).optional(),
  redis: z.looseObject({
    memory: z.looseObject({ policy: z.string(), max_bytes: z.number(), used_bytes: z.number() }).nullable(),
  }),
});

const names = z.array(z.string());

export const schemas = {
  metrics,
  cluster: z.looseObject({ replicas: z.array(metrics), silent_replicas: names }),
  config: z.record(z.string(), z.unknown()),
  actors: z.looseObject({
    actors: z.array(
      z.looseObject({
        actor_id: z.string(),
        replica_id: z.string(),
        last_error: z.string().nullable(),
        mailbox_size: z.number(),
      }),
    ),
  }),
  alerts: z.looseObject({
    alerts: z.array(
      z.looseObject({
        at: z.number(),
        severity: z.string(),
        kind: z.string(),
        message: z.string(),
        replica_id: z.string().optional(),
        details: z.looseObject({ differences: names.optional() }).optional(),
      }),
    ),
  }),
  control: z.looseObject({
    frozen_topics: names,
    switched: z.record(z.string(), z.looseObject({ by: z.string() })),
  }),
} as const;

export function healthIn(body: unknown): HealthObservation | null {
  return (health.safeParse(body).data as HealthObservation | undefined) ?? null;
}
