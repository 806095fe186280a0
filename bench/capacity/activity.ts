import { coresOf, type Activity, type ServiceCosts, type Workload } from './workload.js';

/** What the windows of topics depend on. */
export type FlushCosts = Pick<ServiceCosts, 'replicas' | 'timing'>;

/** How the service batches: the rules of `server/fanout/` and `server/publish/`. See docs/architecture.md. */
const service = {
  /** `topics.latency_target_ms` and `topics.fanout_window_max_ms`. */
  windowMs: 5,
  windowMaxMs: 100,
  /** A timer is late by about this much. */
  timerMs: 1,
  /** Topics that are due within this time of each other are flushed together. */
  togetherMs: 1,
  /** While a replica is busier than this, its topics may use less of its event loop, down to the smallest share. */
  targetUtilization: 0.6,
  shareMin: 0.01,
  /** Publishes of a topic gather for this part of its window, if that has grown. */
  gatherShare: 0.25,
  /** From this many appends per second on they wait for each other. */
  busyFromPerSec: 1000,
  appendTickMs: 4,
  /** An append in flight takes about this long; meanwhile the next batch gathers. */
  appendMs: 1,
} as const;

/** A delivery is the payload and about this many further bytes: frame, topic, position, sender, id, time. */
export const envelopeBytes = 190;

/**
 * Computes how often each kind of work is done. As long as the replicas have room, a topic waits no longer than it
 * needs. Where they have none, all topics wait as long as it takes to come down to the target, or as long as they may.
 *
 * @param costs of the replicas: the window of a topic follows what a flush costs
 */
export function activityOf(workload: Workload, costs: FlushCosts): Activity {
  let activity = activityWith(workload, costs, 1);
  if (utilizationOf(activity, costs) <= service.targetUtilization) return activity;
  // The share is found in logarithms, as the service does it.
  let low = Math.log(service.shareMin);
  let high = 0;
  for (let round = 0; round < 12; round++) {
    const middle = (low + high) / 2;
    activity = activityWith(workload, costs, Math.exp(middle));
    if (utilizationOf(activity, costs) > service.targetUtilization) high = middle;
    else low = middle;
  }
  return activity;
}

/**
 * How busy a replica finds itself: the mean of the time in which its event loop has something to do, and of the
 * processor time that it gets. On a machine whose processors are shared the first is longer than the second.
 */
function utilizationOf(activity: Activity, { replicas, timing }: FlushCosts): number {
  return ((coresOf(activity, replicas) / activity.replicas) * (1 + timing.loopStretch)) / 2;
}

/** @param loopShare the share of the event loop that the flushes of a topic may take */
function activityWith(workload: Workload, costs: FlushCosts, loopShare: number): Activity {
  const { timing } = costs;
  const { connections, topics, subscribersPerTopic, publishesPerSec, payloadBytes, replicas } = workload;
  const perTopic = topics === 0 ? 0 : publishesPerSec / topics;
  /** Share of the replicas that have a subscriber of a topic. */
  const share = subscribersPerTopic === 0 ? 0 : 1 - (1 - 1 / replicas) ** subscribersPerTopic;
  const audience = share === 0 ? 0 : subscribersPerTopic / (replicas * share);
  const bytes = payloadBytes + envelopeBytes;

  const windowMs = windowOf({ perTopic, audience, bytes }, costs, loopShare);
  const flushesOfTopic = rateInBatches(perTopic, windowMs + service.timerMs);
  const flushes = topics * share * replicas * flushesOfTopic;
  const batches = flushes * audience;
  const topicsPerConnection = connections === 0 ? 0 : (topics * subscribersPerTopic) / connections;
  const listening = topicsPerConnection === 0 ? 0 : (topics * subscribersPerTopic) / topicsPerConnection;
  // Topics that are flushed together share the writes to their common subscribers.
  const writes =
    topicsPerConnection > 1
      ? listening * occupiedSteps(topicsPerConnection * flushesOfTopic, service.togetherMs + timing.turnMs)
      : batches;

  const writers = Math.min(replicas, Math.max(1, workload.publishersPerTopic));
  const gatherMs = Math.max(
    service.appendMs,
    audience > 0 && windowMs > service.windowMs ? windowMs * service.gatherShare : 0,
  );
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
  loopShare: number,
): number {
  const { flushes = 0, batches = 0, writes = 0, deliveries = 0, deliveredBytes = 0 } = replicas;
  let windowMs: number = service.windowMs;
  for (let round = 0; round < 30; round++) {
    const messages = Math.max(1, (topic.perTopic * (windowMs + service.timerMs)) / 1000);
    const costUs =
      flushes + topic.audience * (batches + writes + messages * (deliveries + topic.bytes * deliveredBytes));
    const next = Math.min(
      service.windowMaxMs,
      Math.max(service.windowMs, ((costUs / 1000) * timing.loopStretch) / loopShare),
    );
    if (Math.abs(next - windowMs) < 0.01) break;
    windowMs += 0.7 * (next - windowMs);
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
