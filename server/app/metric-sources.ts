import { hookPoolSource } from './hook-pool.js';
import { sumConnections, sumMailboxes } from '../metrics/metric-sums.js';
import type { MetricSources } from '../metrics/metrics.js';
import { shownPhase, type Phase } from '../protocol/phase.js';
import type { Foundation } from './foundation.js';
import type { Gateway } from './gateway.js';
import type { Messaging } from './messaging.js';

interface MetricParts extends Foundation, Messaging {
  readonly gateway: Gateway;
  readonly phase: () => Phase;
}

/** Talkers in the metrics. */
const ranks = 5;

/** The sources of the metrics. */
export function metricSources(parts: MetricParts): MetricSources {
  const { replicaId, registry, topics, gateway, storage, limits, tokens, supervision, tracing, logger } =
    parts;
  const { budget, fastPublish, lifecycle } = gateway;
  return {
    replicaId,
    phase: () => shownPhase(parts.phase()),
    drain: () => gateway.drain.state,
    connections: () => sumConnections(registry.all()),
    topics: () => ({ ...topics.totals(), subscriptions: registry.subscriptions }),
    limits: () => limits.counts,
    quotas: () => storage.quotaCounts,
    historyRemoved: () => storage.historyRemoved(),
    tokens: () => ({ revocations: tokens.revocations.size, refresh_reuses: tokens.refreshes.reuses }),
    delivery: () => topics.counts,
    outboxes: () => ({ slow: budget.slowCount, waitingBytes: budget.waitingBytes }),
    answers: () => limits.answers.counts,
    optimizations: () => ({
      fast_publishes: fastPublish.taken,
      direct_writes: budget.directWrites,
      slim_connections: lifecycle.slimConnections,
    }),
    inbound: () => gateway.inbound.counts,
    polling: () => {
      const { upgradesRefused, ...counts } = gateway.polling();
      return { ...counts, upgrades_refused: upgradesRefused };
    },
    mailboxes: () => sumMailboxes(topics.publisher.health().values()),
    actors: () => ({ ...supervision.supervisor.counts, stopped: supervision.supervisor.stopped }),
    alerts: () => supervision.alerts.counts,
    workPool: () => supervision.pool.health,
    hookPool: () => hookPoolSource(supervision.hookPool),
    traces: () => {
      const { exported, failed } = tracing.spans.counts;
      return { ...tracing.tracer.counts, spans_exported: exported, spans_failed: failed };
    },
    droppedLogLines: () => logger.droppedLines,
    redis: () => storage.redis(),
    inboxes: () => {
      const fullest = parts.inboxSizes.fullest(ranks);
      return {
        messages: parts.inboxSizes.summary(),
        fullest: fullest.map(({ messages, bytes, filledPercent }) => ({
          messages,
          bytes,
          filled_percent: filledPercent,
        })),
      };
    },
    limitedUsers: () => parts.control.userLimits.list().length,
    topTalkers: () => {
      const { talkers } = limits;
      const commands = (kind: 'user' | 'connection') =>
        talkers.top(kind, 'commands', ranks).map(({ commands_per_sec: rate }) => rate);
      return {
        users: commands('user'),
        connections: commands('connection'),
        topics: talkers.top('topic', 'messages', ranks).map(({ messages_per_sec: rate }) => rate),
      };
    },
  };
}
