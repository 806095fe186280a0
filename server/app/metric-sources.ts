import type { Storage } from '../storage/storage.js';
import type { Limits } from './limits.js';
import type { Supervision } from './supervision.js';
import type { Tokens } from './tokens.js';
import type { Tracing } from './tracing.js';
import type { MetricSources } from '../metrics/metrics.js';
import type { TopicHub } from '../topics/topic-hub.js';
import type { SendBufferBudget } from '../fanout/outbox.js';
import type { ConnectionRegistry } from '../gateway/connection-registry.js';

/** What the metrics look at. */
export interface MetricParts {
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

/** Where the metrics get their numbers when somebody looks. */
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
    connections: () => {
      let json = 0;
      for (const connection of registry.all()) if (connection.wire === 'json') json++;
      return { total: registry.size, json, socketio: registry.size - json };
    },
    topics: () => {
      const sum = { carried: 0, subscriptions: 0, behind: 0 };
      for (const topic of topics.activeTopics()) {
        sum.carried++;
        sum.subscriptions += topic.subscribers;
        sum.behind += topic.behind;
      }
      return sum;
    },
    limits: () => limits.counts,
    tokens: () => ({ revocations: tokens.revocations.size, refresh_reuses: tokens.refreshes.reuses }),
    delivery: () => topics.counts,
    outboxes: () => ({ slow: budget.slowCount, waitingBytes: budget.waitingBytes }),
    mailboxes: () => {
      const sum = { actors: 0, waiting: 0, failed: 0 };
      for (const health of topics.publisher.health().values()) {
        sum.actors++;
        sum.waiting += health.mailboxSize;
        sum.failed += health.failed;
      }
      return sum;
    },
    actors: () => ({ ...supervision.supervisor.counts, stopped: supervision.supervisor.stopped }),
    alerts: () => supervision.alerts.counts,
    workPool: () => supervision.pool.health,
    traces: () => {
      const { exported, failed } = tracing.spans();
      return { ...tracing.tracer.counts, spans_exported: exported, spans_failed: failed };
    },
    redis: () => storage.redis(),
  };
}
