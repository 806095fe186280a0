import type { Settings } from '../config/schema.js';
import type { Confirmations } from '../fanout/confirmations.js';
import type { ConnectionRegistry } from '../gateway/connection-registry.js';
import type { LogFactory } from '../logging/log.js';
import type { Metrics } from '../metrics/metrics.js';
import type { Storage } from '../storage/storage.js';
import type { ChangeCount } from '../primitives/change-count.js';
import { systemClock } from '../primitives/clock.js';
import { PublishQuotas } from '../publish/publish-quotas.js';
import { newLoopMeter } from '../primitives/loop-meter.js';
import { TopicHub } from '../topics/topic-hub.js';
import { windowsBy } from './flush-windows.js';
import type { Limits } from './limits.js';
import type { Supervision } from './supervision.js';
import type { Tracing } from './tracing.js';

/** Parts that the topics need. */
interface TopicParts {
  readonly settings: Settings;
  readonly storage: Storage;
  readonly registry: ConnectionRegistry;
  readonly confirmations: Confirmations;
  readonly supervision: Supervision;
  readonly limits: Limits;
  readonly changes: ChangeCount;
  readonly tracing: Tracing;
  readonly metrics: Metrics;
  readonly logOf: LogFactory;
}

/**
 * Messages that go through a hook on the worker threads and are then appended together. They wait for each other, and in the threads few of
 * them are under way at a time.
 */
const pooledBatchMax = 32;

/** Assembles the topics of a replica. */
export function assembleTopics(parts: TopicParts): TopicHub {
  const { settings, storage, supervision, tracing, metrics } = parts;
  const { topics, outbox, actorSystem } = settings;
  return new TopicHub(
    {
      broker: storage.broker,
      audience: parts.registry,
      acks: parts.confirmations,
      supervisor: supervision.supervisor,
      // It is known when the module of the hooks is loaded.
      onPublish: () => supervision.hooks.publish,
      quotas: new PublishQuotas({ memory: storage.memory, users: parts.limits.quotas }),
      changes: parts.changes,
      tracer: tracing.tracer,
      record: tracing.record,
      onDelivered: (latencyMs) => metrics.deliveryHistogram.observe(latencyMs),
      log: parts.logOf('routing'),
      clock: { ...systemClock, wallTime: storage.now },
      utilization: newLoopMeter(),
    },
    {
      windowOf: windowsBy(topics),
      positionCheckMs: topics.positionCheckSecs * 1000,
      outboxOverflow: outbox.overflowStrategy,
      blockCacheBytes: topics.catchUpCacheBytes,
      mailboxCapacity: actorSystem.mailboxCapacity,
      mailboxOverflow: actorSystem.overflowStrategy,
      batchMax: actorSystem.batchMax,
      ...(supervision.hookPool !== undefined && { hookedBatchMax: pooledBatchMax }),
      actorIdleMs: actorSystem.idleSecs * 1000,
      idempotencyScope: topics.idempotencyScope,
    },
  );
}
