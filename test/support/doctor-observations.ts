import type {
  MetricsObservation,
  Observations,
  RedisObservation,
} from '../../server/cli/doctor/observations.js';

export const metrics: MetricsObservation = {
  replica_id: 'a',
  active_connections: 10,
  actors: { stopped: 0 },
  outboxes: { slow: 0 },
  event_loop_lag_ms: { recent_p99: 3 },
  memory: { rss_bytes: 100, heap_used_bytes: 10, heap_limit_bytes: 1000, limit_bytes: 1000 },
  file_descriptors: { open: 20, limit: 1000 },
  redis: { memory: { policy: 'noeviction', max_bytes: 0, used_bytes: 1 } },
};
const redis: RedisObservation = {
  address: 'redis:6379',
  problem: null,
  ping_ms: { median: 0.2, worst: 2 },
  version: '7.2.1',
  advice: [],
  fields: { role: 'master', used_memory: '10', maxmemory: '100' },
  policy: 'noeviction',
  denied: [],
};
const token = { source: 'the variable TOKEN', issued_at: 1, expires_at: null, refusal: null };
export const day = 86_400_000;
/** What the doctor sees of a service where all is well. */
export const healthyObservations = {
  format: 1,
  at: 1000 * day,
  url: 'https://rtc.example',
  reach: {
    addresses: ['10.0.0.1'],
    problem: null,
    status: 200,
    answer_ms: 2,
    clock_ahead_ms: 0,
    tls: { expires_at: 1100 * day, problem: null },
  },
  health: {
    status: 'ok',
    phase: 'running',
    mode: 'normal',
    accepts_connections: true,
    presence: 'on',
    frozen_topics: 0,
    replica_id: 'a',
    version: '1.0.0',
    connections: 10,
    redis: { state: 'up', outage: null, writes: 'accepted', memory: { level: 'ample' } },
  },
  metrics,
  token,
  operator: token,
  admin: {
    silent_replicas: [],
    replicas: [metrics, { ...metrics, replica_id: 'b' }],
    settings: {
      max_connections: 1000,
      max_message_bytes: 65_536,
      heartbeat_interval_secs: 30,
      leeway_secs: 60,
      mailbox_capacity: 1000,
    },
    stopped_actors: [],
    alerts: [],
    rates_switched_by: null,
    frozen: [],
    longest_mailbox: { actor_id: 'topic:news', mailbox_size: 3 },
  },
  upgrade: { status: 101, code: 'ok', message: '' },
  polling: { lost: 0, requests: 4 },
  probe: { sent: 3, received: 3, slowest_ms: 5, clock_ahead_ms: 0, failures: [] },
  idle: { asked_ms: 90_000, closed_after_ms: null, heartbeats: 3 },
  replicas: [],
  redis,
} as const satisfies Observations;

/** The healthy service, with one thing that is otherwise. */
export function withOther(
  path: readonly string[],
  value: unknown,
  base: unknown = healthyObservations,
): Observations {
  const [first, ...rest] = path;
  if (first === undefined) return value as Observations;
  const copy = Array.isArray(base) ? [...(base as unknown[])] : { ...(base as object) };
  (copy as Record<string, unknown>)[first] = withOther(rest, value, (base as Record<string, unknown>)[first]);
  return copy as Observations;
}
