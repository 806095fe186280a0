import type { Log } from '../../../logging/log.js';
import { RedisLosses, type RedisLoss } from '../redis-losses.js';
import type { RedisStore } from '../redis-store.js';
import { replicaKeys } from '../replica-keys.js';
import { hashSlot, slotCount } from './hash-slot.js';
import { clusterReplicaPrefix } from './open-redis-cluster.js';

interface ShardLossesDependencies {
  readonly link: Pick<RedisStore, 'call' | 'clock' | 'onState' | 'ownerOf'>;
  readonly log: Log;
}

interface ShardLossesSettings {
  readonly keyPrefix: string;
  readonly heartbeatMs?: number;
}

/** A slot whose number of heartbeats is followed. */
interface WatchedSlot {
  readonly key: string;
  readonly losses: RedisLosses;
  isBeating: boolean;
}

/**
 * Finds out that a shard of a Redis Cluster has come back with less: the number of heartbeats is counted in a slot of
 * each shard. A slot is followed, not a node, because the data of a slot move with it. The shard that has the heartbeats
 * of replicas is left to their registry.
 */
export class ShardLosses {
  private readonly watched = new Map<number, WatchedSlot>();
  private readonly listeners: ((loss: RedisLoss) => void)[] = [];
  private readonly timer: NodeJS.Timeout;
  private readonly registrySlot: number;
  private closed = false;

  constructor(
    private readonly dependencies: ShardLossesDependencies,
    private readonly settings: ShardLossesSettings,
  ) {
    this.registrySlot = hashSlot(replicaKeys(clusterReplicaPrefix(settings.keyPrefix)).beatCount);
    dependencies.link.onState((state) => {
      if (state === 'up') this.beat();
    });
    this.timer = setInterval(() => this.beat(), settings.heartbeatMs ?? 1000);
    this.timer.unref();
  }

  onLoss(listener: (loss: RedisLoss) => void): void {
    this.listeners.push(listener);
  }

  /** Counts a heartbeat in each shard. */
  beat(): void {
    if (this.closed) return;
    this.choose();
    for (const [slot, watched] of this.watched) void this.count(slot, watched);
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
  }

  /**
   * Follows a slot of each node. A slot that has moved to a node with another one is followed until it was counted there:
   * the node may have got it without its data.
   */
  private choose(): void {
    const { link } = this.dependencies;
    const covered = new Set([link.ownerOf(this.registrySlot)]);
    for (const [slot, { losses }] of [...this.watched].sort(([one], [other]) => one - other)) {
      const owner = link.ownerOf(slot);
      if (covered.has(owner) && owner !== undefined && losses.node === owner) this.watched.delete(slot);
      covered.add(owner);
    }
    for (let slot = 0; slot < slotCount; slot++) {
      const owner = link.ownerOf(slot);
      if (owner === undefined || covered.has(owner)) continue;
      covered.add(owner);
      this.watched.set(slot, this.watch(slot));
    }
  }

  private watch(slot: number): WatchedSlot {
    const { link, log } = this.dependencies;
    const losses = new RedisLosses({ log, now: link.clock.now });
    losses.onLoss((loss) => {
      for (const listener of this.listeners) listener(loss);
    });
    return { key: `${this.settings.keyPrefix}:shard-beats:{${tagOf(slot)}}`, losses, isBeating: false };
  }

  private async count(slot: number, watched: WatchedSlot): Promise<void> {
    // Two at a time could be counted by two nodes, and answered in the other order.
    if (watched.isBeating) return;
    watched.isBeating = true;
    const { link, log } = this.dependencies;
    try {
      const count = await link.call<number>(['INCR', watched.key]);
      if (!this.closed) watched.losses.counted(count, link.ownerOf(slot));
    } catch (error) {
      log.debug('Heartbeat of a shard not counted', { slot, error });
    } finally {
      watched.isBeating = false;
    }
  }
}

/** The smallest number whose digits, as a hash tag, are in a slot. */
function tagOf(slot: number): number {
  let tag = 0;
  while (hashSlot(String(tag)) !== slot) tag++;
  return tag;
}
