import type { Activity, ServiceCosts, Workload } from './workload.js';

/**
 * How the service batched when `measured.json` was made. Since then the window follows the load: a replica that has room
 * uses more to be faster, and one that has none gathers as here. See docs/scaling.md.
 */
const service = {
  windowMs: 5,
  windowMaxMs: 100,
  /** A timer is late by about this much. */
  timerMs: 1,
  /** The window was the cost of a flush times a factor between these, the number of messages in it. */
  lingerPerCost: { few: 2, many: 24 },
  /** Steps of `server/publish/publisher.ts` and `server/fanout/flusher.ts`, from this many starts per second on. */
  busyFromPerSec: 1000,
  appendTickMs: 4,
  flushTickMs: 10,
  /** An append in flight takes about this long; meanwhile the next batch gathers. */
  appendMs: 1,
} as const;

/** What the window of a topic depends on. */
export type FlushCosts = Pick<ServiceCosts, 'replicas' | 'timing'>;

/** A delivery is the payload and about this many further bytes: frame, topic, position, sender, id, time. */
export const envelopeBytes = 190;

/**
 * Computes how often each kind of work is done.
 *
 * @param costs of the replicas: the window of a topic follows what a flush costs
 */
export function activityOf(workload: Workload, costs: FlushCosts): Activity {
  const { timing } = costs;
  const { connections, topics, subscribersPerTopic, publishesPerSec, payloadBytes, replicas } = workload;
  const perTopic = topics === 0 ? 0 : publishesPerSec / topics;
  /** Share of the replicas that have a subscriber of a topic. */
  const share = subscribersPerTopic === 0 ? 0 : 1 - (1 - 1 / replicas) ** subscribersPerTopic;
  const audience = share === 0 ? 0 : subscribersPerTopic / (replicas * share);
  const bytes = payloadBytes + envelopeBytes;

  const windowMs = windowOf({ perTopic, audience, bytes }, costs);
  const flushesOfTopic = rateInBatches(perTopic, windowMs + service.timerMs);
  const flushes = topics * share * replicas * flushesOfTopic;
  const batches = flushes * audience;
  const topicsPerConnection = connections === 0 ? 0 : (topics * subscribersPerTopic) / connections;
  const isBusy = flushes / replicas >= service.busyFromPerSec;
  const writesPerConnection = topicsPerConnection * flushesOfTopic;
  const listening = topicsPerConnection === 0 ? 0 : (topics * subscribersPerTopic) / topicsPerConnection;
  const writes =
    isBusy && topicsPerConnection > 1
      ? listening * occupiedSteps(writesPerConnection, service.flushTickMs)
      : batches;

  const writers = Math.min(replicas, Math.max(1, workload.publishersPerTopic));
  const gatherMs = Math.max(service.appendMs, audience > 0 ? windowMs / 4 : 0);
  const appendsOfReplica = (topics * writers * rateInBatches(perTopic / writers, gatherMs)) / replicas;
  const { callMs, turnMs, redisTurnMs } = timing;
  const stepMs = appendsOfReplica >= service.busyFromPerSec ? Math.max(service.appendTickMs, callMs) : callMs;
  const callsOfReplica = occupiedSteps(appendsOfReplica, stepMs);
  const appends = appendsOfReplica * replicas;
  // Each of these wakes an event loop: a publish, a call and its answer, a batch from a channel, a flush.
  const wakings = publishesPerSec / replicas + 2 * callsOfReplica + appends * share + flushes / replicas;
  return {
    turns: replicas * occupiedSteps(wakings, turnMs),
    redisTurns: occupiedSteps(replicas * callsOfReplica, redisTurnMs),
    publishes: publishesPerSec,
    appends,
    calls: replicas * callsOfReplica,
    receivedBatches: appends * share * replicas,
    receivedMessages: publishesPerSec * share * replicas,
    flushes,
    batches,
    writes,
    deliveries: publishesPerSec * subscribersPerTopic,
    deliveredBytes: publishesPerSec * subscribersPerTopic * bytes,
    connects: workload.connectsPerSec,
    connections,
    replicas,
    replicaPairs: replicas * replicas,
  };
}

/** The window of a topic between two flushes, and how many messages are in it, depend on each other. */
function windowOf(
  topic: { readonly perTopic: number; readonly audience: number; readonly bytes: number },
  { replicas, timing }: FlushCosts,
): number {
  const { flushes = 0, batches = 0, writes = 0, deliveries = 0, deliveredBytes = 0 } = replicas;
  const { few, many } = service.lingerPerCost;
  // From the longest one: code that is still cold makes it long, and it stays so if that is stable.
  let windowMs: number = service.windowMaxMs;
  for (let round = 0; round < 50; round++) {
    const messages = Math.max(1, (topic.perTopic * (windowMs + service.timerMs)) / 1000);
    const costUs =
      flushes + topic.audience * (batches + writes + messages * (deliveries + topic.bytes * deliveredBytes));
    const factor = Math.min(many, Math.max(few, messages));
    const next = Math.min(
      service.windowMaxMs,
      Math.max(service.windowMs, (costUs / 1000) * timing.flushStretch * factor),
    );
    windowMs += 0.5 * (next - windowMs);
  }
  return windowMs;
}

/** Batches per second, if what arrives within a time goes together: the first one begins at once. */
function rateInBatches(perSec: number, gatherMs: number): number {
  return perSec / Math.max(1, (perSec * gatherMs) / 1000);
}

/** Number of steps per second in which something arrives, if arrivals are independent. */
function occupiedSteps(perSec: number, stepMs: number): number {
  return (1000 / stepMs) * (1 - Math.exp((-perSec * stepMs) / 1000));
}
