import type { Log } from '../../logging/log.js';

/** Redis has less than it had. */
export interface RedisLoss {
  /** What was written after this is lost, ms since 1970; undefined: all of it, or more than this replica remembers. */
  readonly since: number | undefined;
  readonly isEmpty: boolean;
  /** The node of a Redis Cluster whose shard it is; undefined: there is one Redis only. */
  readonly node: string | undefined;
  /** The node that had that shard before, if it is another. */
  readonly formerNode: string | undefined;
  readonly remedy: string;
}

interface RedisLossesDependencies {
  readonly log: Log;
  /** The clock of Redis. */
  readonly now: () => number;
}

/** Heartbeats that are remembered: an hour of them. */
const rememberedMax = 3600;
const remedy =
  'look into the log of Redis for the reason. Set appendonly yes and appendfsync always to lose nothing in a restart, redis.wait_replicas to lose nothing in a failover. Subscribers have received gap; switches and revocations are restored from the replicas';

/**
 * Finds out that Redis has come back with less: after a restart without all its data, a failover, a restored copy, or
 * when somebody has emptied it. The number of heartbeats of all replicas is stored there, and only ever grows. In a
 * Redis Cluster each shard has such a number: see `cluster/shard-losses.ts`.
 */
export class RedisLosses {
  private readonly beats: { readonly count: number; readonly at: number }[] = [];
  private readonly listeners: ((loss: RedisLoss) => void)[] = [];
  private lastNode: string | undefined;

  constructor(private readonly dependencies: RedisLossesDependencies) {}

  onLoss(listener: (loss: RedisLoss) => void): void {
    this.listeners.push(listener);
  }

  /** The node that the last heartbeat was counted at. */
  get node(): string | undefined {
    return this.lastNode;
  }

  /** To be called with the number after each heartbeat, in their order, and with the node that has counted it. */
  counted(count: number, node?: string): void {
    const { beats } = this;
    const seen = beats.at(-1)?.count ?? 0;
    if (count <= seen) this.report(count, node);
    this.lastNode = node;
    while (beats.length > 0 && beats.at(-1)!.count >= count) beats.pop();
    beats.push({ count, at: this.dependencies.now() });
    if (beats.length > rememberedMax) beats.shift();
  }

  private report(count: number, node: string | undefined): void {
    const last = this.beats.findLast((beat) => beat.count < count);
    const formerNode = this.lastNode === node ? undefined : this.lastNode;
    const loss: RedisLoss = { since: last?.at, isEmpty: count === 1, node, formerNode, remedy };
    this.dependencies.log.error('Redis has come back with less than it had', {
      ...(last !== undefined && { lost_since: new Date(last.at).toISOString() }),
      is_empty: loss.isEmpty,
      ...(node !== undefined && { node }),
      ...(formerNode !== undefined && { former_node: formerNode }),
      remedy,
    });
    for (const listener of this.listeners) listener(loss);
  }
}
