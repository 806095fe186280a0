import { z } from 'zod';
import { modes } from '../../control/control-state.js';
import { adminRoute, adminRoles, hasRole, type AdminRoute } from '../admin-route.js';
import { unresponsiveField } from '../schemas.js';
import type { Overview } from './overview.js';

interface OverviewRouteDependencies {
  readonly overview: Overview;
  readonly replicaId: string;
  readonly version: string;
}

const time = z.number().describe('Milliseconds since 1970.');
const perSec = z.number();

const findingSchema = z.object({
  state: z.enum(['warning', 'critical']),
  code: z.string(),
  sentence: z.string().describe('What it means.'),
  where: z.array(z.string()).describe('Replicas.'),
  since: z
    .number()
    .nullable()
    .describe('Milliseconds since 1970; when it was first seen, or when it was switched.'),
  next: z.string().describe('The one thing to do next.'),
});

const sampleSchema = z.object({
  slot: z.int().describe('Seconds since 1970, divided by step_secs.'),
  connections: z.int(),
  publishes_per_sec: perSec,
  deliveries_per_sec: perSec,
  refused_per_sec: perSec,
  p99_ms: z.number().describe('Of the slowest replica.'),
  busy: z.number().describe('Share of the time in which the event loop was busy, of the busiest replica.'),
});

const figuresSchema = z.object({
  connections: z.int(),
  connections_limit: z.int().nullable().describe('Of all replicas; null: one of them has no limit.'),
  publishes_per_sec: perSec,
  deliveries_per_sec: perSec,
  refused_per_sec: perSec,
  refused_by_code: z.record(z.string(), z.number()).describe('Per second.'),
  p50_ms: z.number(),
  p99_ms: z.number().describe('Delivery latency of the last one to two minutes, of the slowest replica.'),
  topics: z.int().describe('Active topics of the replica that has the most.'),
  subscriptions: z.int(),
  slow_readers: z.int(),
});

const controlSchema = z.object({
  mode: z.enum(modes),
  accepts_connections: z.boolean(),
  presence: z.enum(['on', 'shed']),
  rate_limits: z.object({ connection_rps: z.int(), user_rps: z.int() }),
  frozen: z.int().describe('Number of frozen topics.'),
  limited_users: z.int().describe('Users with a limit of their own.'),
  frozen_topics: z.array(z.string()).describe('The first hundred.'),
  switched: z.record(z.string(), z.object({ by: z.string(), at: time, reason: z.string().optional() })),
});

const replicaSchema = z.object({
  replica_id: z.string(),
  version: z.string(),
  phase: z.string(),
  uptime_secs: z.int(),
  problems: z.array(z.string()).describe('As /health lists them.'),
  connections: z.int(),
  connections_limit: z.int().nullable(),
  busy: z.number().nullable().describe('Share of the last seconds in which the event loop was busy, 0 to 1.'),
  lag_ms: z.number().describe('99th percentile of the delay of the event loop in the last half minute.'),
  heap_bytes: z.int(),
  heap_limit_bytes: z.int(),
  rss_bytes: z.int(),
  p99_ms: z.number(),
  deliveries_per_sec: z.number().nullable(),
  stopped_actors: z.int(),
  redis: z.enum(['up', 'down', 'none']),
  redis_memory: z
    .looseObject({ level: z.string(), used_bytes: z.number(), max_bytes: z.number() })
    .nullable(),
});

const alertSchema = z.object({
  id: z.string(),
  at: time,
  severity: z.string(),
  kind: z.string(),
  message: z.string(),
  replica_id: z.string(),
});

const topicSchema = z.object({
  topic: z.string(),
  subscribers: z.int(),
  behind: z.int().describe('Subscribers that are catching up from the log.'),
  messages_per_sec: z.number().nullable().describe('Since the look before; null: this is the first.'),
  deliveries_per_sec: z.number().nullable(),
  frozen: z.boolean(),
});

/** What the console shows first, and who the caller is. */
export function overviewRoutes({
  overview,
  replicaId,
  version,
}: OverviewRouteDependencies): readonly AdminRoute[] {
  return [
    adminRoute({
      method: 'get',
      path: '/overview',
      role: 'viewer',
      summary:
        'The state of the service in one sentence, with figures of the last ten minutes, switches, replicas, open alerts and the busiest topics.',
      answer: z.object({
        at: time,
        answered_by: z.string(),
        verdict: z.object({
          state: z.enum(['ok', 'warning', 'critical']),
          sentence: z.string(),
          findings: z.array(findingSchema).describe('The worst first.'),
        }),
        figures: figuresSchema,
        history: z.object({ step_secs: z.int(), samples: z.array(sampleSchema) }),
        control: controlSchema,
        replicas: z.array(replicaSchema),
        silent_replicas: unresponsiveField,
        outdated_replicas: z
          .array(z.string())
          .describe('Replicas of an older version: they do not know this route.'),
        alerts: z.array(alertSchema).describe('Of the last hour, those that nothing has ended.'),
        topics: z.array(topicSchema).describe('Those with the most deliveries first.'),
      }),
      run: () => overview.read(),
    }),
    adminRoute({
      method: 'get',
      path: '/me',
      role: 'viewer',
      summary: 'Who the token is, and what it may do.',
      answer: z.object({
        user_id: z.string(),
        role: z.enum(adminRoles).describe('The highest one.'),
        roles: z.array(z.string()),
        expires_at: z.number().nullable().describe('Milliseconds since 1970; null: it does not expire.'),
        replica_id: z.string(),
        version: z.string(),
      }),
      run: ({ caller: { identity } }) => ({
        user_id: identity.userId,
        role: [...adminRoles].reverse().find((role) => hasRole(identity, role)) ?? 'viewer',
        roles: identity.roles,
        expires_at: identity.expiresAt === undefined ? null : identity.expiresAt * 1000,
        replica_id: replicaId,
        version,
      }),
    }),
  ];
}
