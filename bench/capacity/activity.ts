import { coresOf, type Activity, type ServiceCosts, type Workload } from './workload.js';

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
  /** A topic whose flushes carry several messages gathers for so many times what a flush costs. */
  gatherPerCost: 2.5,
  /** Publishes of a topic gather for this part of its window, if that has grown. */
  gatherShare: 0.25,
  /** From this many appends per second on they wait for each other. */
  busyFromPerSec: 1000,
  appendTickMs: 4,
  /** Each connection is pinged once in this time. */
  heartbeatSec: 25,
} as const;

/** A delivery is the payload and about this many further bytes: frame, topic, position, sender, id, time. */
export const envelopeBytes = 190;

/** A busier event loop counts as one that is busy for this share of the time. */
const busiest = 0.95;

/** Clients on the same machine use as much processor time as the replicas do. */
const clientShare = 1;

/** Within so many rounds a replica and its windows come to rest. */
const rounds = 60;

/** How busy a replica is. */
interface Busyness {
  /** Share of the time in which its event loop has something to do. */
  readonly loop: number;
  /** How much longer its work takes than it uses the processor, because other processes use it too. */
  readonly stretch: number;
  /** Share of the event loop that the flushes of a topic may take. */
  readonly flushShare: number;
}

/**
 * Computes how often each kind of work is done. How much goes together depends on how busy the replicas are, and that
 * again on how much goes together: the rounds approach what fits to each other, as a replica does in a few seconds.
 */
export function activityOf(workload: Workload, costs: ServiceCosts): Activity {
  let busyness: Busyness = { loop: 0, stretch: 1, flushShare: 1 };
  let activity = activityWith(workload, costs, busyness);
  for (let round = 0; round < rounds; round++) {
    const before = busyness;
    busyness = nextBusyness(workload, activity, costs, before);
    activity = activityWith(workload, costs, busyness);
    if (isSame(before, busyness)) break;
  }
  return activity;
}

function isSame(one: Busyness, other: Busyness): boolean {
  const differ = (a: number, b: number) => Math.abs(a - b) > 1e-4 * b;
  return !(
    differ(one.loop, other.loop) ||
    differ(one.stretch, other.stretch) ||
    differ(one.flushShare, other.flushShare)
  );
}

/** Goes half of the way to how busy replicas are with an activity. */
function nextBusyness(
  { replicas, sharedProcessors }: Workload,
  activity: Activity,
  costs: ServiceCosts,
  { loop, stretch, flushShare }: Busyness,
): Busyness {
  const all = coresOf(activity, costs.replicas);
  const cores = all / replicas;
  const wants = (share: number) => Math.min(1, share * stretch);
  const stretched =
    sharedProcessors === undefined
      ? 1
      : stretchBy(
          [
            ...new Array<number>(replicas - 1).fill(wants(cores)),
            wants(coresOf(activity, costs.redis)),
            wants(clientShare * all),
          ],
          sharedProcessors,
        );
  // A replica finds itself as busy as the mean of its event loop and its processor time: server/primitives/loop-meter.ts.
  const utilization = Math.min(1, (cores * (1 + stretch)) / 2);
  const wanted = flushShare * Math.sqrt(service.targetUtilization / Math.max(0.01, utilization));
  return {
    loop: (loop + wants(cores)) / 2,
    stretch: (stretch + stretched) / 2,
    flushShare: Math.min(1, Math.max(service.shareMin, wanted)),
  };
}

/**
 * How much longer the work of a process takes when others share the processors: as many times as there are processes
 * that run at the same time for each processor.
 *
 * @param others the share of the time in which each of the other processes wants a processor
 */
function stretchBy(others: readonly number[], processors: number): number {
  // How likely it is that so many of them want one.
  let likely = [1];
  for (const share of others)
    likely = [...likely, 0].map((each, i) => each * (1 - share) + (likely[i - 1] ?? 0) * share);
  return likely.reduce((sum, each, i) => sum + each * Math.max(1, (i + 1) / processors), 0);
}

function activityWith(workload: Workload, costs: ServiceCosts, busyness: Busyness): Activity {
  const { timing } = costs;
  const { connections, topics, subscribersPerTopic, publishesPerSec, payloadBytes, replicas } = workload;
  const perTopic = topics === 0 ? 0 : publishesPerSec / topics;
  /** Share of the replicas that have a subscriber of a topic. */
  const share = subscribersPerTopic === 0 ? 0 : 1 - (1 - 1 / replicas) ** subscribersPerTopic;
  const audience = share === 0 ? 0 : subscribersPerTopic / (replicas * share);
  const bytes = payloadBytes + envelopeBytes;
  // The busier the event loop, the longer the time after which it gets to what arrives, and the more it does then.
  const longer = 1 / (1 - Math.min(busyness.loop, busiest));
  const turnMs = timing.turnMs * longer;

  const flushMs = (ms: number) => flushMsWith(ms, { perTopic, audience, bytes }, costs, busyness);
  const windowMs = windowOf(flushMs, perTopic, busyness);
  const flushesOfTopic = rateInBatches(perTopic, windowMs + service.timerMs);
  const flushes = topics * share * replicas * flushesOfTopic;
  const topicsPerConnection = connections === 0 ? 0 : (topics * subscribersPerTopic) / connections;
  const listening = topicsPerConnection === 0 ? 0 : (topics * subscribersPerTopic) / topicsPerConnection;
  // Topics that are flushed together share the writes to their common subscribers.
  const writes =
    topicsPerConnection > 1
      ? listening * occupiedSteps(topicsPerConnection * flushesOfTopic, service.togetherMs + turnMs)
      : flushes * audience;
  const allWrites = writes + (2 * connections) / service.heartbeatSec;

  const writers = Math.min(replicas, Math.max(1, workload.publishersPerTopic));
  const ofWriter = perTopic / writers;
  // Publishes, and the answer to the append before them, each wait for half of a flush, if they arrive during one.
  const oneFlushMs = flushMs(windowMs);
  const waitMs = Math.min(1, ((flushes / replicas) * oneFlushMs) / 1000) * oneFlushMs;
  const windowGatherMs = audience > 0 && windowMs > service.windowMs ? windowMs * service.gatherShare : 0;
  const appendsWith = (takesMs: number) =>
    (topics * writers * rateBehindEachOther(ofWriter, Math.max(takesMs + waitMs, windowGatherMs))) / replicas;
  // The rate is not the same at all times: near the limit, appends wait for each other for a part of the time.
  const ticking = Math.min(1, Math.max(0, 0.5 + 5 * (appendsWith(turnMs) / service.busyFromPerSec - 1)));
  const stepMs = Math.max(turnMs, ticking * service.appendTickMs);
  const appendsOfReplica = appendsWith(stepMs);
  const callsOfReplica = occupiedSteps(appendsOfReplica, stepMs);
  const appends = appendsOfReplica * replicas;
  const calls = callsOfReplica * replicas;
  // Each of these wakes an event loop: a publish, a call and its answer, a batch from a channel, a flush.
  const wakings = publishesPerSec / replicas + 2 * callsOfReplica + appends * share + flushes / replicas;
  return {
    turns: replicas * occupiedSteps(wakings, turnMs),
    redisTurns: occupiedSteps(calls, timing.redisTurnMs * longer),
    publishes: publishesPerSec,
    appends,
    calls,
    receivedBatches: appends * share * replicas,
    receivedMessages: publishesPerSec * share * replicas,
    receivedBytes: publishesPerSec * share * replicas * payloadBytes,
    writes: allWrites,
    idleWrites: allWrites * idleShare(busyness),
    deliveries: publishesPerSec * subscribersPerTopic,
    deliveredBytes: publishesPerSec * subscribersPerTopic * bytes,
    connects: workload.connectsPerSec,
    replicas,
    replicaPairs: replicas * replicas,
  };
}

/** How much of the extra cost of a write on an idle machine is paid: see {@link Activity.idleWrites}. */
function idleShare({ loop }: Busyness): number {
  return (1 - loop) ** 3;
}

/** How long a flush of a topic takes on a replica, if its window is that long. */
function flushMsWith(
  windowMs: number,
  topic: { readonly perTopic: number; readonly audience: number; readonly bytes: number },
  { replicas: { writes = 0, idleWrites = 0, deliveredBytes = 0 } }: ServiceCosts,
  busyness: Busyness,
): number {
  const messages = messagesIn(windowMs, topic.perTopic);
  const writeUs = writes + idleWrites * idleShare(busyness) + messages * topic.bytes * deliveredBytes;
  return ((topic.audience * writeUs) / 1000) * busyness.stretch;
}

/** Messages of a topic in a flush. */
function messagesIn(windowMs: number, perTopic: number): number {
  return Math.max(1, (perTopic * (windowMs + service.timerMs)) / 1000);
}

/** The window of a topic between two flushes, and how long a flush takes, depend on each other. */
function windowOf(flushMs: (windowMs: number) => number, perTopic: number, { flushShare }: Busyness): number {
  let windowMs: number = service.windowMs;
  for (let round = 0; round < 30; round++) {
    const costMs = flushMs(windowMs);
    const gatherMs = costMs * service.gatherPerCost * (1 - 1 / messagesIn(windowMs, perTopic));
    const wanted = Math.max(service.windowMs, costMs / flushShare, gatherMs);
    const next = Math.min(service.windowMaxMs, wanted);
    if (Math.abs(next - windowMs) < 0.01) break;
    windowMs += 0.7 * (next - windowMs);
  }
  return windowMs;
}

/** Batches per second, if what arrives within a time goes together: the first one begins at once. */
function rateInBatches(perSec: number, gatherMs: number): number {
  return perSec / Math.max(1, (perSec * gatherMs) / 1000);
}

/** The same, if the next batch begins when the one before is done: what arrives meanwhile goes together. */
function rateBehindEachOther(perSec: number, takesMs: number): number {
  return perSec / (1 + (perSec * takesMs) / 1000);
}

/** Number of steps per second in which something arrives, if arrivals are independent. */
function occupiedSteps(perSec: number, stepMs: number): number {
  return (1000 / stepMs) * (1 - Math.exp((-perSec * stepMs) / 1000));
}
