import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import { Counter, Gauge, Registry } from 'prom-client';
import type { ErrorCode } from '../../shared/errors.js';
import type { LimitCounts } from '../limits/limit-counts.js';
import type { QuotaCounts } from '../limits/quota-counts.js';
import { FileDescriptors } from './file-descriptors.js';
import { memoryLimits } from './memory-limits.js';
import { metricTable, type MetricValue } from './metric-table.js';
import type { MetricsDocument } from './metrics-document.js';
import { Quantiles } from './quantiles.js';
import { RecentLag } from './recent-lag.js';

/** The monitor measures the time between its timers; this part of it is the interval, not a delay. */
const loopResolutionMs = 100;

/** The sources in the running service that the metrics read on each request. */
export interface MetricSources {
  readonly replicaId: string;
  readonly phase: () => MetricsDocument['phase'];
  readonly drain: () => MetricsDocument['drain'];
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
  readonly limits: () => LimitCounts;
  readonly quotas: () => QuotaCounts;
  /** Messages removed early for want of memory. */
  readonly historyRemoved: () => number;
  readonly tokens: () => { revocations: number; refresh_reuses: number };
  readonly outboxes: () => { slow: number; waitingBytes: number };
  readonly answers: () => MetricsDocument['answers'];
  readonly optimizations: () => MetricsDocument['optimizations'];
  readonly inbound: () => MetricsDocument['inbound'];
  readonly polling: () => MetricsDocument['polling'];
  readonly mailboxes: () => { actors: number; waiting: number; failed: number };
  readonly actors: () => MetricsDocument['actors'];
  readonly alerts: () => MetricsDocument['alerts'];
  readonly workPool: () => MetricsDocument['work_pool'];
  readonly hookPool: () => MetricsDocument['hook_pool'];
  readonly traces: () => MetricsDocument['traces'];
  readonly droppedLogLines: () => number;
  readonly redis: () => MetricsDocument['redis'];
  readonly inboxes: () => MetricsDocument['inboxes'];
  readonly topTalkers: () => MetricsDocument['top_talkers'];
  /** Users with a limit of their own. */
  readonly limitedUsers: () => number;
}

/** Counts events in plain numbers. The Prometheus registry is filled only when it is scraped. */
export class Metrics {
  published = 0;
  duplicates = 0;
  direct = 0;
  connects = 0;
  disconnects = 0;
  readonly refused: Partial<Record<ErrorCode, number>> = {};
  /** From command to acknowledgement. */
  readonly publishHistogram = new Quantiles();
  /** From acceptance to the write to subscribers, of the oldest message of each flush. */
  readonly deliveryHistogram = new Quantiles();
  private readonly files = new FileDescriptors();
  private readonly limits = memoryLimits();
  private readonly startedAt = performance.now();
  private readonly loop: IntervalHistogram = monitorEventLoopDelay({ resolution: loopResolutionMs });
  private readonly recentLoop: IntervalHistogram = monitorEventLoopDelay({ resolution: loopResolutionMs });
  private readonly recentLag = new RecentLag({ histogram: this.recentLoop, now: () => performance.now() });
  private sources: MetricSources | undefined;

  constructor() {
    this.loop.enable();
    this.recentLoop.enable();
  }

  setSources(sources: MetricSources): void {
    this.sources = sources;
  }

  countRefused(code: ErrorCode): void {
    this.refused[code] = (this.refused[code] ?? 0) + 1;
  }

  /** The JSON document of `/metrics`. */
  document(): MetricsDocument {
    const { sources } = this;
    if (sources === undefined) throw new Error('metrics are read before the service has started');
    const connections = sources.connections();
    const delivery = sources.delivery();
    const limits = sources.limits();
    const quotas = sources.quotas();
    const memory = process.memoryUsage();
    return {
      replica_id: sources.replicaId,
      uptime_secs: Math.round((performance.now() - this.startedAt) / 1000),
      phase: sources.phase(),
      drain: sources.drain(),
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
      rate_limit_stats: {
        limited: this.refused.rate_limited ?? 0,
        connection: limits.connection,
        user: limits.user,
        address: limits.address,
        user_connections: limits.userConnections,
        http: limits.http,
        bodies: limits.bodies,
        tcp: limits.tcp,
        abuse_disconnects: limits.abuseDisconnects,
        local_fallbacks: limits.localFallbacks,
        refills: limits.refills,
      },
      quota_refusals: {
        connection_bytes: quotas.connectionBytes,
        user_bytes: quotas.userBytes,
        stored_bytes: quotas.storedBytes,
        new_topics: quotas.newTopics,
        inbox_share: quotas.inboxShare,
        inbox_full: quotas.inboxFull,
        memory_share: quotas.memoryShare,
        memory_reserved: quotas.memoryReserved,
        user_sessions: quotas.userSessions,
        session_memory: quotas.sessionMemory,
      },
      history_removed: sources.historyRemoved(),
      tokens: sources.tokens(),
      latency_ms: { publish: this.publishHistogram.summary(), delivery: this.deliveryHistogram.summary() },
      topics: sources.topics(),
      outboxes: {
        slow: sources.outboxes().slow,
        waiting_bytes: sources.outboxes().waitingBytes,
        paused: delivery.paused,
        dropped: delivery.dropped,
        disconnected: delivery.disconnected,
      },
      answers: sources.answers(),
      optimizations: sources.optimizations(),
      inbound: sources.inbound(),
      polling: sources.polling(),
      mailboxes: { ...sources.mailboxes(), rejected: this.refused.busy ?? 0 },
      actors: sources.actors(),
      alerts: sources.alerts(),
      work_pool: sources.workPool(),
      hook_pool: sources.hookPool(),
      traces: sources.traces(),
      redis: sources.redis(),
      log: { dropped: sources.droppedLogLines() },
      event_loop_lag_ms: {
        mean: lagHistogramMs(this.loop.mean),
        p99: lagHistogramMs(this.loop.percentile(99)),
        max: lagHistogramMs(this.loop.max),
        recent_p99: lagHistogramMs(this.recentLag.p99()),
      },
      memory: {
        rss_bytes: memory.rss,
        heap_used_bytes: memory.heapUsed,
        external_bytes: memory.external,
        ...this.limits,
      },
      file_descriptors: { open: this.files.open, limit: this.files.limit },
      inboxes: sources.inboxes(),
      top_talkers: sources.topTalkers(),
      limited_users: sources.limitedUsers(),
    };
  }

  /**
   * The same in the text format of Prometheus. The registry exists for one answer only, because the numbers
   * are kept here.
   */
  async prometheus(): Promise<string> {
    const document = this.document();
    const registry = new Registry();
    for (const { name, type, help, label, read } of metricTable) {
      const value = read(document);
      const values = typeof value === 'number' ? [[{}, value] as const] : labelled(label, value);
      const definition = {
        name,
        help,
        registers: [registry],
        labelNames: label === undefined ? [] : [label],
      };
      if (type === 'counter') {
        const counter = new Counter(definition);
        for (const [labels, count] of values) counter.inc(labels, count);
      } else {
        const gauge = new Gauge(definition);
        for (const [labels, level] of values) gauge.set(labels, level);
      }
    }
    return registry.metrics();
  }

  close(): void {
    this.loop.disable();
    this.recentLoop.disable();
  }
}

function labelled(
  label = '',
  values: Exclude<MetricValue, number>,
): (readonly [Record<string, string>, number])[] {
  return values.map(([name, value]) => [{ [label]: name }, value]);
}

function lagHistogramMs(nanoseconds: number): number {
  return Number.isFinite(nanoseconds)
    ? Number(Math.max(0, nanoseconds / 1e6 - loopResolutionMs).toFixed(2))
    : 0;
}
