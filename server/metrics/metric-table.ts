import { errorTable, type ErrorCode } from '../../shared/errors.js';
import type { MetricsDocument } from './metrics-document.js';

/** One value of a metric, or one per label value. */
export type MetricValue = number | readonly (readonly [label: string, value: number])[];

/** A metric of the Prometheus exposition. */
interface MetricRow {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  /** Name of the label, if the metric has several values. */
  readonly label?: string;
  readonly read: (document: MetricsDocument) => MetricValue;
}

const row =
  (type: MetricRow['type']) =>
  (name: string, help: string, read: MetricRow['read'], label?: string): MetricRow => ({
    name,
    type,
    help,
    read,
    ...(label !== undefined && { label }),
  });
const counter = row('counter');
const gauge = row('gauge');

/** Every metric, in one place. `docs/telemetry.md` lists exactly these rows; a test compares the two. */
export const metricTable: readonly MetricRow[] = [
  gauge('rtc_uptime_seconds', 'Age of the process.', ({ uptime_secs }) => uptime_secs),
  gauge(
    'rtc_active_connections',
    'Connections of this replica, by wire.',
    ({ connections: { socketio, json } }) => Object.entries({ socketio, json }),
    'wire',
  ),
  gauge('rtc_draining', '1 while the replica drains or stops.', ({ phase }) =>
    phase === 'draining' ? 1 : 0,
  ),
  counter(
    'rtc_drained_clients_total',
    'Clients of the drain that were moved to other replicas, or cut off.',
    ({ drain: { moved, forced } }) => Object.entries({ moved, forced }),
    'outcome',
  ),
  counter('rtc_connects_total', 'Connections accepted.', ({ connections }) => connections.connects),
  counter('rtc_disconnects_total', 'Connections ended.', ({ connections }) => connections.disconnects),
  counter(
    'rtc_messages_published_total',
    'Messages stored by this replica.',
    ({ messages }) => messages.published,
  ),
  counter(
    'rtc_messages_duplicate_total',
    'Publishes recognised as repeated.',
    ({ messages }) => messages.duplicates,
  ),
  counter(
    'rtc_messages_delivered_total',
    'Messages handed to transports.',
    ({ messages }) => messages.delivered,
  ),
  counter(
    'rtc_messages_direct_total',
    'Direct messages stored by this replica.',
    ({ messages }) => messages.direct,
  ),
  counter('rtc_gaps_total', 'Gaps announced to clients.', ({ messages }) => messages.gaps),
  counter(
    'rtc_refused_total',
    'Refused commands and connections, by error code.',
    // All codes from the start: a rate needs a value before the first refusal.
    ({ refused }) => (Object.keys(errorTable) as ErrorCode[]).map((code) => [code, refused[code] ?? 0]),
    'code',
  ),
  counter(
    'rtc_rate_limited_total',
    'Refusals by the limit that was exceeded.',
    ({ rate_limit_stats: { connection, user, address, user_connections, http, bodies, tcp } }) =>
      Object.entries({ connection, user, address, user_connections, http, bodies, tcp }),
    'limit',
  ),
  counter(
    'rtc_abuse_disconnects_total',
    'Connections closed because of too many refusals.',
    ({ rate_limit_stats }) => rate_limit_stats.abuse_disconnects,
  ),
  counter(
    'rtc_rate_limit_fallbacks_total',
    'Decisions of the limits without Redis, because it was unreachable.',
    ({ rate_limit_stats }) => rate_limit_stats.local_fallbacks,
  ),
  counter(
    'rtc_rate_limit_refills_total',
    'Grants for users requested from Redis.',
    ({ rate_limit_stats }) => rate_limit_stats.refills,
  ),
  counter(
    'rtc_quota_refused_total',
    'Refusals by the quota that was used up, and dropped sessions.',
    ({ quota_refusals }) => Object.entries(quota_refusals),
    'quota',
  ),
  counter(
    'rtc_history_removed_total',
    'Messages removed early because `topics.memory_bytes` was reached; without Redis.',
    ({ history_removed }) => history_removed,
  ),
  gauge('rtc_revocations', 'Revocations in force.', ({ tokens }) => tokens.revocations),
  counter(
    'rtc_refresh_reuses_total',
    'Refresh tokens that were used a second time.',
    ({ tokens }) => tokens.refresh_reuses,
  ),
  gauge(
    'rtc_publish_latency_ms',
    'Time from command to acknowledgement, in milliseconds; quantiles of the last one to two minutes.',
    ({ latency_ms: { publish } }) => [
      ['0.5', publish.p50],
      ['0.95', publish.p95],
      ['0.99', publish.p99],
    ],
    'quantile',
  ),
  gauge(
    'rtc_delivery_latency_ms',
    'Time from acceptance to the write to subscribers, in milliseconds: of the oldest message of each flush.',
    ({ latency_ms: { delivery } }) => [
      ['0.5', delivery.p50],
      ['0.95', delivery.p95],
      ['0.99', delivery.p99],
    ],
    'quantile',
  ),
  gauge('rtc_topics_carried', 'Topics with subscribers on this replica.', ({ topics }) => topics.carried),
  gauge('rtc_subscriptions', 'Subscriptions on this replica.', ({ topics }) => topics.subscriptions),
  gauge(
    'rtc_subscribers_behind',
    'Subscriptions that are catching up from the log.',
    ({ topics }) => topics.behind,
  ),
  gauge(
    'rtc_outbox_waiting_bytes',
    'Bytes waiting for slow readers.',
    ({ outboxes }) => outboxes.waiting_bytes,
  ),
  gauge('rtc_outbox_slow', 'Connections with unsent messages.', ({ outboxes }) => outboxes.slow),
  counter(
    'rtc_outbox_paused_total',
    'Times a subscription was paused for a slow reader.',
    ({ outboxes }) => outboxes.paused,
  ),
  counter(
    'rtc_outbox_dropped_total',
    'Messages dropped for slow readers.',
    ({ outboxes }) => outboxes.dropped,
  ),
  counter(
    'rtc_outbox_disconnected_total',
    'Connections closed because they read too slowly.',
    ({ outboxes }) => outboxes.disconnected,
  ),
  gauge('rtc_answer_bytes', 'Bytes of large answers under way.', ({ answers }) => answers.bytes),
  counter(
    'rtc_answers_refused_total',
    'Large answers refused because too many were under way.',
    ({ answers }) => answers.refused,
  ),
  counter(
    'rtc_answers_aborted_total',
    'Large answers given up because their clients did not read them.',
    ({ answers }) => answers.aborted,
  ),
  counter(
    'rtc_fast_publishes_total',
    'Publishes that were read before Socket.IO decoded them.',
    ({ optimizations }) => optimizations.fast_publishes,
  ),
  counter(
    'rtc_direct_writes_total',
    'Writes that went straight to a TCP socket.',
    ({ optimizations }) => optimizations.direct_writes,
  ),
  counter(
    'rtc_slim_connections_total',
    'Connections that released what they do not need while idle.',
    ({ optimizations }) => optimizations.slim_connections,
  ),
  gauge('rtc_inbound_commands', 'Commands that are not answered yet.', ({ inbound }) => inbound.commands),
  gauge('rtc_inbound_bytes', 'Bytes of commands that are not answered yet.', ({ inbound }) => inbound.bytes),
  counter(
    'rtc_inbound_paused_total',
    'Times a connection was not read because of a limit of what it may send.',
    ({ inbound }) => inbound.paused,
  ),
  counter('rtc_inbound_waste_total', 'Packets without use.', ({ inbound }) => inbound.waste),
  counter(
    'rtc_inbound_closed_total',
    'Connections closed for what they sent, by limit.',
    ({ inbound }) => Object.entries(inbound.closed),
    'limit',
  ),
  counter(
    'rtc_polling_forwarded_total',
    'Requests of long-polling sent to the replica that holds their transport.',
    ({ polling }) => polling.forwarded,
  ),
  counter(
    'rtc_polling_served_total',
    'Requests of long-polling that another replica has received, served by this one.',
    ({ polling }) => polling.served,
  ),
  counter(
    'rtc_polling_failed_total',
    'Forwarded requests that were not answered, because the replica had ended or was out of reach.',
    ({ polling }) => polling.failed,
  ),
  counter(
    'rtc_polling_upgrades_refused_total',
    'Upgrades to WebSocket refused because another replica holds the transport.',
    ({ polling }) => polling.upgrades_refused,
  ),
  gauge('rtc_topic_actors', 'Topics with recent publishes.', ({ mailboxes }) => mailboxes.actors),
  gauge('rtc_mailbox_waiting', 'Publishes waiting in mailboxes.', ({ mailboxes }) => mailboxes.waiting),
  counter(
    'rtc_mailbox_rejected_total',
    'Publishes refused because a mailbox was full.',
    ({ mailboxes }) => mailboxes.rejected,
  ),
  gauge(
    'rtc_mailbox_failed',
    'Publishes that could not be stored, of topics with a running actor.',
    ({ mailboxes }) => mailboxes.failed,
  ),
  counter('rtc_actor_failures_total', 'Failures of actors and hooks.', ({ actors }) => actors.failures),
  counter('rtc_actor_restarts_total', 'Restarts after a failure.', ({ actors }) => actors.restarts),
  counter(
    'rtc_actor_stops_total',
    'Actors and hooks stopped after repeated failures.',
    ({ actors }) => actors.stops,
  ),
  gauge(
    'rtc_actors_stopped',
    'Stopped actors and hooks, which an operator can restart.',
    ({ actors }) => actors.stopped,
  ),
  counter('rtc_alerts_total', 'Alerts raised by this replica.', ({ alerts }) => alerts.raised),
  counter(
    'rtc_alert_webhooks_total',
    'Alerts that the webhook accepted, or that were not delivered.',
    ({ alerts: { delivered, undelivered } }) => Object.entries({ delivered, undelivered }),
    'outcome',
  ),
  gauge(
    'rtc_work_pool_tasks',
    'Slow work running and waiting.',
    ({ work_pool: { running, waiting } }) => Object.entries({ running, waiting }),
    'state',
  ),
  counter('rtc_work_pool_failures_total', 'Slow work that failed.', ({ work_pool }) => work_pool.failures),
  gauge(
    'rtc_hook_workers',
    'Worker threads for the module with hooks.',
    ({ hook_pool }) => Object.entries(hook_pool.workers),
    'state',
  ),
  gauge(
    'rtc_hook_calls_waiting',
    'Calls of hooks that wait for a worker.',
    ({ hook_pool }) => hook_pool.waiting,
  ),
  counter(
    'rtc_hook_calls_total',
    'Calls of hooks of the module, by how they have ended; busy: too many were waiting.',
    ({ hook_pool }) => Object.entries(hook_pool.calls),
    'outcome',
  ),
  counter(
    'rtc_hook_workers_replaced_total',
    'Worker threads replaced because they were stuck, at the limit of their memory, or had ended; load: the module could not be loaded.',
    ({ hook_pool }) => Object.entries(hook_pool.replaced),
    'reason',
  ),
  counter(
    'rtc_messages_traced_total',
    'Messages traced, by reason; skipped: requested, but over the limit.',
    ({ traces: { sampled, forced, skipped } }) => Object.entries({ sampled, forced, skipped }),
    'reason',
  ),
  counter(
    'rtc_trace_spans_total',
    'Spans that the collector accepted, or did not.',
    ({ traces }) => [
      ['exported', traces.spans_exported],
      ['failed', traces.spans_failed],
    ],
    'outcome',
  ),
  gauge('rtc_redis_up', '1 while Redis answers; 0 also without Redis.', ({ redis }) =>
    redis.state === 'up' ? 1 : 0,
  ),
  counter('rtc_redis_reconnects_total', 'Connections to Redis.', ({ redis }) => redis.reconnects),
  counter(
    'rtc_redis_errors_total',
    'Failures of Redis or of the connection to it.',
    ({ redis }) => redis.errors,
  ),
  gauge(
    'rtc_redis_writes_refused',
    '1 while Redis refuses writes, or publishes for want of memory.',
    ({ redis }) => (redis.writes === 'refused' ? 1 : 0),
  ),
  counter(
    'rtc_redis_refused_writes_total',
    'Writes that Redis has refused, such as for want of memory.',
    ({ redis }) => redis.refused_writes,
  ),
  counter('rtc_redis_stalls_total', 'Times Redis did not answer in time.', ({ redis }) => redis.stalls),
  counter(
    'rtc_log_lines_dropped_total',
    'Log lines that were not written, because their reader was too slow or had gone.',
    ({ log }) => log.dropped,
  ),
  gauge(
    'rtc_redis_memory_bytes',
    'Memory of Redis; limit: `maxmemory`, 0 for none.',
    ({ redis: { memory } }) => [
      ['used', memory?.used_bytes ?? 0],
      ['limit', memory?.max_bytes ?? 0],
    ],
    'kind',
  ),
  gauge(
    'rtc_redis_memory_level',
    '0: enough; 1: scarce, users have a share; 2: publishes are refused; 3: sessions are refused too.',
    ({ redis: { memory } }) => ['ample', 'scarce', 'reserved', 'exhausted'].indexOf(memory?.level ?? 'ample'),
  ),
  gauge(
    'rtc_event_loop_lag_ms',
    'Event-loop delay since the start, in milliseconds; recent_p99: in the last half minute.',
    ({ event_loop_lag_ms }) => Object.entries(event_loop_lag_ms),
    'statistic',
  ),
  gauge('rtc_memory_rss_bytes', 'Resident memory.', ({ memory }) => memory.rss_bytes),
  gauge('rtc_memory_heap_used_bytes', 'Used heap of JavaScript.', ({ memory }) => memory.heap_used_bytes),
  gauge(
    'rtc_memory_external_bytes',
    'Memory of buffers outside the heap.',
    ({ memory }) => memory.external_bytes,
  ),
  gauge(
    'rtc_memory_limit_bytes',
    'Most that the heap may take, and the process: its container, or the machine.',
    ({ memory }) => [
      ['heap', memory.heap_limit_bytes],
      ['process', memory.limit_bytes],
    ],
    'kind',
  ),
  gauge(
    'rtc_file_descriptors',
    'Open files and sockets of the process, and their limit; 0: the system does not say.',
    ({ file_descriptors: { open, limit } }) => [
      ['open', open ?? 0],
      ['limit', limit ?? 0],
    ],
    'kind',
  ),
  gauge(
    'rtc_inbox_messages',
    'Messages in the inboxes to which direct messages were added, right after that; quantiles of the last one to two minutes.',
    ({ inboxes: { messages } }) => [
      ['0.5', messages.p50],
      ['0.95', messages.p95],
      ['0.99', messages.p99],
    ],
    'quantile',
  ),
  gauge(
    'rtc_top_inbox_messages',
    'Messages in the five fullest inboxes to which this replica has added some; whose they are: `GET /admin/inboxes`.',
    ({ inboxes }) => byRank(inboxes.fullest.map(({ messages }) => messages)),
    'rank',
  ),
  gauge(
    'rtc_top_inbox_filled_percent',
    'How full those are: in messages or bytes, whichever is nearer to its limit.',
    ({ inboxes }) => byRank(inboxes.fullest.map(({ filled_percent: percent }) => percent)),
    'rank',
  ),
  gauge(
    'rtc_top_user_commands_per_second',
    'Commands per second of the five users who send the most; their names: `GET /admin/talkers`.',
    ({ top_talkers }) => byRank(top_talkers.users),
    'rank',
  ),
  gauge(
    'rtc_top_connection_commands_per_second',
    'Commands per second of the five connections that send the most.',
    ({ top_talkers }) => byRank(top_talkers.connections),
    'rank',
  ),
  gauge(
    'rtc_top_topic_messages_per_second',
    'Messages per second of the five busiest topics.',
    ({ top_talkers }) => byRank(top_talkers.topics),
    'rank',
  ),
  gauge(
    'rtc_limited_users',
    'Users with a limit that an operator has set for a time: `GET /admin/user-limits`.',
    ({ limited_users }) => limited_users,
  ),
];

/** Five values, whoever they belong to: the number of labels is bounded. */
function byRank(rates: readonly number[]): [rank: string, rate: number][] {
  return Array.from({ length: 5 }, (_, i) => [String(i + 1), rates[i] ?? 0]);
}
