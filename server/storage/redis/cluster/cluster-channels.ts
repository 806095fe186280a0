import type { RedisLink } from '../redis-link.js';
import { unavailable } from '../redis-refusals.js';
import type { ChannelKind } from '../redis-store.js';
import { hashSlot } from './hash-slot.js';

interface Channel {
  readonly listener: (message: Buffer) => void;
  readonly kind: ChannelKind;
  readonly slot: number;
  /** The node that has the subscription, or is being asked for it. */
  link: RedisLink | undefined;
}

interface ClusterChannelsDependencies {
  readonly ownerOf: (slot: number) => RedisLink | undefined;
  /** Called when channels are live at another node: messages may have been missed meanwhile. */
  readonly onMoved: () => void;
}

/**
 * The subscriptions in a Redis Cluster: each at the node that has the slot of its name, also those that any node would
 * accept, so that all replicas of the service are at the same one.
 */
export class ClusterChannels {
  private readonly channels = new Map<string, Channel>();

  constructor(private readonly dependencies: ClusterChannelsDependencies) {}

  /** Rejects if it is not live yet: it will be, without another call. */
  async subscribe(name: string, listener: (message: Buffer) => void, kind: ChannelKind): Promise<void> {
    const known = this.channels.get(name);
    const link = this.dependencies.ownerOf(hashSlot(name));
    if (known?.link !== undefined && known.link !== link) known.link.forgetChannel(name);
    this.channels.set(name, { listener, kind, slot: hashSlot(name), link });
    if (link === undefined) throw unavailable();
    try {
      await link.subscribe(name, listener, kind);
    } catch (error) {
      this.refused(name, link);
      throw error;
    }
  }

  async unsubscribe(name: string): Promise<void> {
    const channel = this.channels.get(name);
    this.channels.delete(name);
    await channel?.link?.unsubscribe(name);
  }

  /** A node has dropped a channel, or refused it: it is subscribed anew by the next {@link arrange}. */
  dropped(name: string, by: RedisLink): void {
    const channel = this.channels.get(name);
    if (channel?.link !== by) return;
    channel.link = undefined;
    by.forgetChannel(name);
  }

  /** Moves the channels whose slots have moved. Never rejects. */
  async arrange(): Promise<void> {
    const { ownerOf, onMoved } = this.dependencies;
    const moves: Promise<void>[] = [];
    const left = new Set<RedisLink>();
    for (const [name, channel] of this.channels) {
      const link = ownerOf(channel.slot);
      const former = channel.link;
      if (link === former) continue;
      channel.link = link;
      former?.forgetChannel(name);
      if (former !== undefined) left.add(former);
      // One that fails is made with the next connection of the link, which says so itself.
      if (link !== undefined)
        moves.push(
          link.subscribe(name, channel.listener, channel.kind).catch(() => this.refused(name, link)),
        );
    }
    for (const link of left) link.renewSubscriptions();
    if (moves.length === 0) return;
    await Promise.all(moves);
    onMoved();
  }

  /** Whether a channel has no node. */
  get hasHomeless(): boolean {
    for (const { link } of this.channels.values()) if (link === undefined) return true;
    return false;
  }

  /** A node that is up and refuses a channel does not have its slot. */
  private refused(name: string, link: RedisLink): void {
    if (link.state === 'up') this.dropped(name, link);
  }
}
