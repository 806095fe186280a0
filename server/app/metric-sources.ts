import type { Storage } from '../storage/storage.js';
import type { Limits } from './limits.js';
import type { Supervision } from './supervision.js';
import type { Tokens } from './tokens.js';
import type { Tracing } from './tracing.js';
import { sumConnections, sumMailboxes, sumTopics } from '../metrics/metric-sums.js';
import type { MetricSources } from '../metrics/metrics.js';
import type { TopicHub } from '../topics/topic-hub.js';
import type { SendBufferBudget } from '../fanout/outbox.js';
import type { ConnectionRegistry } from '../gateway/connection-registry.js';

/** The parts that the metrics read. */
interface MetricParts {
  readonly replicaId: string;
  readonly registry: ConnectionRegistry;
  readonly topics: TopicHub;
  readonly budget: SendBufferBudget;
  readonly storage: Storage;
  readonly limits: Limits;
  readonly tokens: Tokens;
  readonly supervision: Supervision;
  readonly tracing: Tracing;
}

/** The sources of the metrics. */
export function metricSources({
  replicaId,
  registry,
  topics,
  budget,
  storage,
  limits,
  tokens,
  supervision,
  tracing,
}: MetricParts): MetricSources {
  return {
    replicaId,
    connections: () => sumConnections(registry.all()),
    topics: () => sumTopics(topics.activeTopics()),
    limits: () => limits.counts,
    tokens: () => ({ revocations: tokens.revocations.size, refresh_reuses: tokens.refreshes.reuses }),
    delivery: () => topics.counts,
    outboxes: () => ({ slow: budget.slowCount, waitingBytes: budget.waitingBytes }),
    mailboxes: () => sumMailboxes(topics.publisher.health().values()),
    actors: () => ({ ...supervision.supervisor.counts, stopped: supervision.supervisor.stopped }),
    alerts: () => supervision.alerts.counts,
    workPool: () => supervision.pool.health,
    traces: () => {
      const { exported, failed } = tracing.spans.counts;
      return { ...tracing.tracer.counts, spans_exported: exported, spans_failed: failed };
    },
    redis: () => storage.redis(),
  };
}
