/** What a deployment has to carry. Subscribers, topics and publishers are spread evenly over the replicas. */
export interface Workload {
  readonly connections: number;
  /** Number of topics that carry messages. */
  readonly topics: number;
  readonly subscribersPerTopic: number;
  /** Publishers of a topic: as many replicas append to it, if there are as many. */
  readonly publishersPerTopic: number;
  /** Acknowledged publishes per second, over all topics. */
  readonly publishesPerSec: number;
  readonly payloadBytes: number;
  /** New connections per second, each with a subscription. */
  readonly connectsPerSec: number;
  readonly replicas: number;
  /** Processors that replicas, Redis and clients share, where all run on one machine; undefined: each process has its own. */
  readonly sharedProcessors?: number;
}

/**
 * How often the service does each kind of work, per second and over all replicas. The processor time of the replicas
 * and of Redis is the sum of these counts, each times what one costs.
 */
export interface Activity {
  /** Turns of the event loops in which something is done, and those of Redis: each wakes a process, and under load it has more to do. */
  readonly turns: number;
  readonly redisTurns: number;
  readonly publishes: number;
  /** Appends: batches of publishes of one topic. */
  readonly appends: number;
  /** Calls of the append script, with appends of several topics. */
  readonly calls: number;
  /** Appends that a replica receives from the channel of a topic, over all replicas; the messages in them, and their bytes. */
  readonly receivedBatches: number;
  readonly receivedMessages: number;
  readonly receivedBytes: number;
  /** Writes to connections: batches of topics that are flushed together share one. A heartbeat counts as two. */
  readonly writes: number;
  /**
   * Writes by how idle a replica is: the cube of the share of the time in which its event loop has nothing to do. A write
   * costs more where processors, caches and the receiver have been asleep. That it is the cube was found, not derived.
   */
  readonly idleWrites: number;
  readonly deliveries: number;
  readonly deliveredBytes: number;
  readonly connects: number;
  readonly replicas: number;
  /** Pairs of replicas: each heartbeat of a replica looks at the records of all. */
  readonly replicaPairs: number;
}

export type ActivityName = keyof Activity;

/** What each kind of work costs, in microseconds of processor time. */
export type Costs = Partial<Record<ActivityName, number>>;

/** What decides how much work goes together. It follows from the measured points, as the costs do. */
export interface Timing {
  /** What an idle event loop gets within this time belongs to one turn, in milliseconds. An append takes a turn, too. */
  readonly turnMs: number;
  /** Calls within this time belong to one turn of Redis, in milliseconds, as long as the replicas are idle. */
  readonly redisTurnMs: number;
}

/** What the replicas and Redis do, and what it costs. */
export interface ServiceCosts {
  readonly replicas: Costs;
  readonly redis: Costs;
  readonly timing: Timing;
}

/** Processor seconds per second of an activity. */
export function coresOf(activity: Activity, costs: Costs): number {
  let us = 0;
  for (const name in costs) us += activity[name as ActivityName] * costs[name as ActivityName]!;
  return us / 1e6;
}
