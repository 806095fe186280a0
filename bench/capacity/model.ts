import { activityOf } from './activity.js';
import type { FurtherCosts } from './calibrate.js';
import { coresOf, type Activity, type Costs, type ServiceCosts, type Workload } from './workload.js';

/** The costs of the service, as measured. */
export interface Calibration extends ServiceCosts {
  readonly further: FurtherCosts;
}

/** What a workload takes. Cores are processor seconds per second. */
export interface Load {
  readonly activity: Activity;
  /** Of one replica. */
  readonly replicaCores: number;
  readonly replicaMemoryBytes: number;
  readonly replicaSentBytesPerSec: number;
  readonly connectionsOfReplica: number;
  /** Of all Redis processes together, and the part of it that one topic causes, which stays in one process. */
  readonly redisCores: number;
  readonly redisCoresOfTopic: number;
  readonly redisSentBytesPerSec: number;
}

/** What a process may take. */
export interface Limits {
  /** Share of a core, of a replica and of a Redis process. */
  readonly cores: number;
  readonly replicaMemoryBytes: number;
  readonly replicaSentBytesPerSec: number;
  readonly redisSentBytesPerSec: number;
}

/** A process that serves topics, and what it is measured by. */
export type Saturated =
  | 'processor of replicas'
  | 'memory of replicas'
  | 'network of replicas'
  | 'processor of Redis by one topic'
  | 'network of Redis by one topic'
  | 'heartbeats of replicas in Redis';

export interface Sizing {
  readonly workload: Workload;
  readonly load: Load;
  /** Redis processes that share the topics. */
  readonly redisShards: number;
  /** What decided the number of replicas. */
  readonly decidedBy: Saturated | 'two for availability';
}

/** A workload that no number of replicas carries, and why. */
export interface Impossible {
  readonly saturated: Saturated;
  /** How many times the limit is reached with the best number of replicas. */
  readonly times: number;
}

export function loadOf(workload: Workload, calibration: Calibration): Load {
  const { replicas: replicaCosts, redis, further } = calibration;
  const activity = activityOf(workload, calibration);
  const { replicas, topics, payloadBytes } = workload;
  const connecting = (workload.connectsPerSec * further.connectUs) / 1e6;
  const topicCosts: Costs = { ...redis, replicas: 0, replicaPairs: 0 };
  // Each replica that carries a topic is sent its messages.
  const redisSentBytesPerSec = activity.receivedMessages * (payloadBytes + storedBytes);
  return {
    activity,
    replicaCores: (coresOf(activity, replicaCosts) + connecting) / replicas,
    replicaMemoryBytes:
      further.replicaMemoryBytes + (workload.connections / replicas) * further.connectionMemoryBytes,
    replicaSentBytesPerSec: activity.deliveredBytes / replicas,
    connectionsOfReplica: workload.connections / replicas,
    redisCores: coresOf(activity, redis),
    redisCoresOfTopic: topics === 0 ? 0 : coresOf(activity, topicCosts) / topics,
    redisSentBytesPerSec,
  };
}

/** Envelope of a message in the log and on the channel of its topic. */
const storedBytes = 130;

/** The smallest number of replicas, from two on, and of Redis processes that carry a workload within the limits. */
export function size(
  workload: Omit<Workload, 'replicas'>,
  calibration: Calibration,
  limits: Limits,
): Sizing | Impossible {
  let best: Impossible = { saturated: 'processor of replicas', times: Infinity };
  let decidedBy: Sizing['decidedBy'] = 'two for availability';
  // In steps of at most a tenth: a thousand replicas more or less are not the question.
  for (
    let replicas = 2;
    replicas <= 1_000_000;
    replicas = Math.max(replicas + 1, Math.floor(replicas * 1.02))
  ) {
    const whole = { ...workload, replicas };
    const load = loadOf(whole, calibration);
    const [saturated, times] = fullest(load, workload.topics, calibration, limits);
    if (times <= 1) return { workload: whole, load, redisShards: shardsOf(load, limits), decidedBy };
    decidedBy = saturated;
    if (times < best.times) best = { saturated, times };
  }
  return best;
}

function fullest(
  load: Load,
  topics: number,
  { redis }: Calibration,
  limits: Limits,
): readonly [Saturated, number] {
  const heartbeats =
    (load.activity.replicas * (redis.replicas ?? 0) +
      load.activity.replicaPairs * (redis.replicaPairs ?? 0)) /
    1e6;
  const sentOfTopic = load.redisSentBytesPerSec / Math.max(1, topics);
  const shares: readonly (readonly [Saturated, number])[] = [
    ['processor of replicas', load.replicaCores / limits.cores],
    ['memory of replicas', load.replicaMemoryBytes / limits.replicaMemoryBytes],
    ['network of replicas', load.replicaSentBytesPerSec / limits.replicaSentBytesPerSec],
    ['processor of Redis by one topic', load.redisCoresOfTopic / limits.cores],
    ['network of Redis by one topic', sentOfTopic / limits.redisSentBytesPerSec],
    ['heartbeats of replicas in Redis', heartbeats / limits.cores],
  ];
  return shares.reduce((most, each) => (each[1] > most[1] ? each : most));
}

function shardsOf(load: Load, limits: Limits): number {
  const byCores = load.redisCores / limits.cores;
  const byNetwork = load.redisSentBytesPerSec / limits.redisSentBytesPerSec;
  return Math.max(1, Math.ceil(Math.max(byCores, byNetwork)));
}
