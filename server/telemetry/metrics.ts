import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import { Counter, Gauge, Registry } from 'prom-client';
import type { ErrorCode } from '../../shared/errors.js';
import { Quantiles } from './quantiles.js';

/** The monitor measures the time between its own timers, of which this much is no delay. */
const loopResolutionMs = 20;

/** What the metrics ask of the running service; called when somebody looks. */
export interface MetricSources {
  readonly replicaId: string;
  readonly connections: () => { total: number; socketio: number; json: number };
  readonly topics: () => { carried: number; subscriptions: number; behind: number };
  readonly delivery: () => {
    delivered: number;
    flushes: number;
    paused: number;
    dropped: number;
    disconnected: number;
    gaps: number;
  };
  readonly outboxes: () => { slow: number; waitingBytes: number };
  readonly mailboxes: () => { actors: number; waiting: number; failed: number };
  readonly redis: () => { state: 'up' | 'down' | 'none'; reconnects: number; errors: number; stalls: number };
}

/** The `/metrics` document. */
export type MetricsDocument = ReturnType<Metrics['document']>;

/** Counts what happens, in plain numbers; the Prometheus registry is filled when it is scraped. */
export class Metrics {
  published = 0;
  duplicates = 0;
  direct = 0;
  connects = 0;
  disconnects = 0;
  readonly refused: Partial<Record<ErrorCode, number>> = {};
  readonly publishMs = new Quantiles();
  private readonly startedMs = performance.now();
  private readonly loop: IntervalHistogram = monitorEventLoopDelay({ resolution: loopResolutionMs });
  private sources: MetricSources | undefined;

  constructor() {
    this.loop.enable();
  }

  setSources(sources: MetricSources): void {
    this.sources = sources;
  }

  countRefused(code: ErrorCode): void {
    this.refused[code] = (this.refused[code] ?? 0) + 1;
  }

  /** The JSON document that the guide's commands read. */
  document() {
    const { sources } = this;
    if (sources === undefined) throw new Error('metrics are read before the service has started');
    const connections = sources.connections();
    const delivery = sources.delivery();
    const memory = process.memoryUsage();
    return {
      replica_id: sources.replicaId,
      uptime_secs: Math.round((performance.now() - this.startedMs) / 1000),
      active_connections: connections.total,
      connections: { ...connections, connects: this.connects, disconnects: this.disconnects },
      messages: {
        published: this.published,
        duplicates: this.duplicates,
        delivered: delivery.delivered,
        direct: this.direct,
        refused: Object.values(this.refused).reduce((sum, count) => sum + count, 0),
        gaps: delivery.gaps,
      },
      refused: { ...this.refused },
      rate_limit_stats: { limited: this.refused.rate_limited ?? 0 },
      latency_ms: { publish: this.publishMs.summary() },
      topics: sources.topics(),
      outboxes: {
        slow: sources.outboxes().slow,
        waiting_bytes: sources.outboxes().waitingBytes,
        paused: delivery.paused,
        dropped: delivery.dropped,
        disconnected: delivery.disconnected,
      },
      mailboxes: { ...sources.mailboxes(), rejected: this.refused.busy ?? 0 },
      redis: sources.redis(),
      event_loop_lag_ms: {
        mean: lagMs(this.loop.mean),
        p99: lagMs(this.loop.percentile(99)),
        max: lagMs(this.loop.max),
      },
      memory: { rss_bytes: memory.rss, heap_used_bytes: memory.heapUsed, external_bytes: memory.external },
    };
  }

  /** The same in Prometheus' text format. */
  async prometheus(): Promise<string> {
    const document = this.document();
    const registry = new Registry();
    const counter = (name: string, help: string, value: number, labels: Record<string, string> = {}) => {
      const known = registry.getSingleMetric(name) as Counter | undefined;
      (known ?? new Counter({ name, help, labelNames: Object.keys(labels), registers: [registry] })).inc(
        labels,
        value,
      );
    };
    const gauge = (name: string, help: string, value: number, labels: Record<string, string> = {}) => {
      const known = registry.getSingleMetric(name) as Gauge | undefined;
      (known ?? new Gauge({ name, help, labelNames: Object.keys(labels), registers: [registry] })).set(
        labels,
        value,
      );
    };
    gauge('rtc_active_connections', 'Connections of this replica, by wire.', document.connections.socketio, {
      wire: 'socketio',
    });
    gauge('rtc_active_connections', '', document.connections.json, { wire: 'json' });
    counter('rtc_connects_total', 'Connections accepted.', document.connections.connects);
    counter('rtc_messages_published_total', 'Messages stored by this replica.', document.messages.published);
    counter(
      'rtc_messages_duplicate_total',
      'Publishes recognised as repeated.',
      document.messages.duplicates,
    );
    counter('rtc_messages_delivered_total', 'Messages handed to transports.', document.messages.delivered);
    counter('rtc_messages_direct_total', 'Direct messages stored by this replica.', document.messages.direct);
    counter('rtc_gaps_total', 'Gaps announced to clients.', document.messages.gaps);
    for (const [code, count] of Object.entries(document.refused))
      counter('rtc_refused_total', 'Refused commands, by error code.', count, { code });
    for (const [quantile, value] of [
      ['0.5', document.latency_ms.publish.p50],
      ['0.95', document.latency_ms.publish.p95],
      ['0.99', document.latency_ms.publish.p99],
    ] as const) {
      gauge('rtc_publish_latency_ms', 'Time from command to acknowledgement.', value, { quantile });
    }
    gauge('rtc_topics_carried', 'Topics with subscribers on this replica.', document.topics.carried);
    gauge('rtc_subscriptions', 'Subscriptions on this replica.', document.topics.subscriptions);
    gauge('rtc_subscribers_behind', 'Subscriptions being caught up from the log.', document.topics.behind);
    gauge('rtc_outbox_waiting_bytes', 'Bytes waiting behind slow readers.', document.outboxes.waiting_bytes);
    gauge('rtc_outbox_slow', 'Connections with something waiting.', document.outboxes.slow);
    counter(
      'rtc_outbox_paused_total',
      'Times a subscription was paused for a slow reader.',
      document.outboxes.paused,
    );
    counter('rtc_outbox_dropped_total', 'Messages dropped for slow readers.', document.outboxes.dropped);
    gauge('rtc_mailbox_waiting', 'Publishes waiting in mailboxes.', document.mailboxes.waiting);
    gauge('rtc_redis_up', '1 while Redis answers.', document.redis.state === 'up' ? 1 : 0);
    counter('rtc_redis_reconnects_total', 'Connections to Redis.', document.redis.reconnects);
    gauge('rtc_event_loop_lag_ms', 'Event-loop delay, 99th percentile.', document.event_loop_lag_ms.p99);
    gauge('rtc_memory_rss_bytes', 'Resident memory.', document.memory.rss_bytes);
    return registry.metrics();
  }

  close(): void {
    this.loop.disable();
  }
}

function lagMs(nanoseconds: number): number {
  return Number.isFinite(nanoseconds)
    ? Number(Math.max(0, nanoseconds / 1e6 - loopResolutionMs).toFixed(2))
    : 0;
}
