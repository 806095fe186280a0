import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisHost } from '../../../config/redis-url.js';
import { RefusalError } from '../../../../shared/errors.js';
import type { Log } from '../../../logging/log.js';
import { AscendingTime } from '../../../primitives/ascending-time.js';
import { systemClock } from '../../../primitives/clock.js';
import { RedisClock } from '../redis-clock.js';
import type { RedisConnector } from '../redis-connector.js';
import { noClusterMode } from '../redis-identification.js';
import type { LinkCounts, RedisLink } from '../redis-link.js';
import { RedisOutage } from '../redis-outage.js';
import { outcomeUnknown, refused, unavailable } from '../redis-refusals.js';
import type {
  ChannelKind,
  LinkState,
  RedisArgument,
  RedisNode,
  RedisStore,
  ReplyForm,
} from '../redis-store.js';
import type { RedisWrites } from '../redis-writes.js';
import { AskingNode } from './asking-node.js';
import { ClusterChannels } from './cluster-channels.js';
import { ClusterLinks } from './cluster-links.js';
import { ClusterError, ClusterOutage } from './cluster-outage.js';
import type { ClusterView } from './cluster-view.js';
import { ClusterWatch } from './cluster-watch.js';
import { keyOf } from './command-key.js';
import { hashSlot, slotCount } from './hash-slot.js';
import { readRedirect, type Redirect } from './redirect.js';
import { SlotTable } from './slot-table.js';

interface RedisClusterDependencies {
  readonly log: Log;
  readonly connectorTo: (host: RedisHost) => RedisConnector;
}

interface RedisClusterSettings {
  /** Some nodes; the others are found by them. */
  readonly seeds: readonly RedisHost[];
  readonly keyPrefix: string;
  /** A key in the slot whose node has the clock of the service. */
  readonly clockKey: string;
  /** A command that is sent from node to node for this long is refused; a node is stalled after it, too. */
  readonly commandTimeoutMs: number;
  readonly stallLimitMs: number;
}

/** The answer to `CLUSTER NODES` of a Redis that is not in cluster mode. */
const withoutCluster = /cluster support disabled/;
/** The first pause before a command is repeated, in milliseconds, and the longest. */
const pauseMs = 20;
const pauseMaxMs = 200;
/** The cluster counts as down for this long after a node has said so. */
const downMs = 1500;

/**
 * A Redis Cluster: one link to each primary, with an identification and a history of its own, so that an epoch is bound
 * to the history of the node that has the slot. The client of the library for clusters hides which node answers, so it
 * is not used here; see docs/adr/0013-redis-cluster.md.
 */
export class RedisCluster implements RedisStore {
  readonly isCluster = true;
  readonly publishCommand = 'SPUBLISH';
  readonly outage = new ClusterOutage();
  readonly unavailable = unavailable;
  readonly refused = refused;
  readonly outcomeUnknown = outcomeUnknown;
  readonly slotOf = hashSlot;
  readonly clock = { now: (): number => this.clockInUse().now(), idTime: (): number => this.idTime() };
  readonly writes: RedisWrites;
  /** Of the node that has the slot of the clock, or had it before; at first that of this machine. */
  private usedClock = new RedisClock();
  private readonly ascending = new AscendingTime(
    () => this.usedClock.idTime(),
    () => performance.now(),
  );
  private clockOwner: RedisLink | undefined;
  private readonly general: RedisOutage;
  private readonly table = new SlotTable();
  private readonly watch: ClusterWatch;
  private readonly channels: ClusterChannels;
  private readonly links: ClusterLinks;
  private current: LinkState = 'down';
  private saidDownAt = -Infinity;
  private isNoCluster = false;
  private closed = false;
  private readonly listeners: ((state: LinkState) => void)[] = [];
  private readonly resubscribed: (() => void)[] = [];

  constructor(
    private readonly dependencies: RedisClusterDependencies,
    private readonly settings: RedisClusterSettings,
  ) {
    const { log, connectorTo } = dependencies;
    this.general = new RedisOutage({ log, clock: systemClock });
    this.outage.add(this.general);
    const { keyPrefix, commandTimeoutMs, stallLimitMs } = settings;
    this.links = new ClusterLinks(
      {
        ...{ log, connectorTo, table: this.table, outage: this.outage },
        onState: (state) => this.nodeChanged(state),
        onResubscribed: () => this.notifyResubscribed(),
        onChannelMoved: (channel, link) => {
          this.channels.dropped(channel, link);
          void this.watch.refresh();
        },
      },
      { keyPrefix, commandTimeoutMs, stallLimitMs },
    );
    this.writes = this.links.writes;
    this.channels = new ClusterChannels({
      ownerOf: (slot) => this.links.ownerOf(slot),
      onMoved: () => this.notifyResubscribed(),
    });
    this.watch = new ClusterWatch(
      {
        log,
        connectorTo,
        connected: () => this.links.connected(),
        known: () => this.table.known,
        onViews: (views, error) => this.observe(views, error),
      },
      settings.seeds,
    );
  }

  get state(): LinkState {
    return this.current;
  }

  get counts(): LinkCounts {
    return this.links.counts;
  }

  /** Why the service cannot work with a node; undefined if there is no such reason. */
  get unsupported(): string | undefined {
    return this.isNoCluster ? noClusterMode : this.links.unsupported;
  }

  nodes(): readonly RedisNode[] {
    return this.links.serving();
  }

  ownerOf(slot: number): string | undefined {
    return this.table.ownerOf(slot);
  }

  onState(listener: (state: LinkState) => void): void {
    this.listeners.push(listener);
  }

  onResubscribed(listener: () => void): void {
    this.resubscribed.push(listener);
  }

  start(): void {
    this.watch.start();
  }

  /** Resolves when all slots are served by nodes that are up, or after `limitMs`. True if any node is up. */
  async whenUp(limitMs: number): Promise<boolean> {
    const until = performance.now() + limitMs;
    while (
      !this.links.areWhole &&
      !this.closed &&
      this.unsupported === undefined &&
      performance.now() < until
    )
      await sleep(10);
    return this.current === 'up';
  }

  async at<Result>(key: string, run: (node: RedisNode) => Promise<Result>): Promise<Result> {
    const slot = hashSlot(key);
    const link = this.links.ownerOf(slot);
    if (link === undefined) throw unavailable();
    try {
      return await run(link);
    } catch (error) {
      const redirect = readRedirect(error);
      if (redirect === undefined) throw error;
      return this.follow(slot, redirect, run);
    }
  }

  call<Reply>(args: RedisArgument[], form?: ReplyForm): Promise<Reply> {
    return this.at(keyOf(args), (node) => node.call<Reply>(args, form));
  }

  async subscribe(
    channel: string,
    listener: (message: Buffer) => void,
    kind: ChannelKind = 'all',
  ): Promise<void> {
    try {
      await this.channels.subscribe(channel, listener, kind);
    } catch (error) {
      // A node that is up has refused it: its slot has moved.
      if (this.links.ownerOf(hashSlot(channel))?.state !== 'up') throw error;
      await this.watch.refresh();
      await this.channels.subscribe(channel, listener, kind);
    }
  }

  unsubscribe(channel: string): Promise<void> {
    return this.channels.unsubscribe(channel);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.watch.close();
    this.general.close();
    await this.links.close();
    this.update('down');
  }

  /** Runs something again where the nodes say that the slot is, until one runs it. */
  private async follow<Result>(
    slot: number,
    first: Redirect,
    run: (node: RedisNode) => Promise<Result>,
  ): Promise<Result> {
    const until = performance.now() + this.settings.commandTimeoutMs;
    let redirect = first;
    for (let attempt = 0; performance.now() < until && !this.closed; attempt++) {
      if (redirect.kind === 'down') throw this.isDown(redirect.reason);
      const node = await this.redirected(slot, redirect, attempt);
      if (node === undefined) throw unavailable();
      try {
        return await run(node);
      } catch (error) {
        const next = readRedirect(error);
        if (next === undefined) throw error;
        redirect = next;
      }
    }
    throw new RefusalError('unavailable', 'a slot of the Redis Cluster is being moved', {
      retryAfterMs: 1000,
    });
  }

  private async redirected(
    slot: number,
    redirect: Redirect,
    attempt: number,
  ): Promise<RedisNode | undefined> {
    if (redirect.kind === 'ask') {
      const link = this.links.at(redirect.address);
      if (link !== undefined) return new AskingNode(link);
    }
    if (redirect.kind === 'later' || attempt > 0)
      await sleep(Math.min(pauseMaxMs, pauseMs * 2 ** Math.min(attempt, 5)));
    if (redirect.kind !== 'later') await this.watch.refresh();
    return this.links.ownerOf(slot);
  }

  private isDown(reason: string): RefusalError {
    this.saidDownAt = performance.now();
    this.general.failed(new ClusterError(reason));
    return unavailable(new Error(reason));
  }

  private clockInUse(): RedisClock {
    const next = this.clockOwner?.clock;
    if (next !== undefined && next !== this.usedClock && next.isMeasured) {
      // Ids go on from here.
      if (this.usedClock.isMeasured) this.ascending.now();
      this.usedClock = next;
    }
    return this.usedClock;
  }

  private idTime(): number {
    return this.clockInUse().isMeasured ? this.ascending.now() : this.usedClock.now();
  }

  private observe(views: readonly ClusterView[], error: Error | undefined): void {
    const isNoCluster = error !== undefined && withoutCluster.test(error.message);
    if (isNoCluster && !this.isNoCluster) this.dependencies.log.error(noClusterMode);
    this.isNoCluster = isNoCluster;
    if (views.length === 0) {
      if (this.current === 'down' && error !== undefined && !isNoCluster && !this.closed)
        this.general.failed(error);
      return;
    }
    const hasChanged = this.table.apply(views);
    if (hasChanged) {
      this.links.arrange();
      this.clockOwner = this.links.ownerOf(hashSlot(this.settings.clockKey));
      this.updateIfDown();
    }
    const { unserved } = this.table;
    if (unserved > 0) this.general.failed(new ClusterError(`${unserved} of ${slotCount} slots have no node`));
    else if (performance.now() - this.saidDownAt > downMs) this.general.up();
    if (hasChanged || this.channels.hasHomeless) void this.channels.arrange();
  }

  private nodeChanged(state: LinkState): void {
    if (state === 'up') this.update('up');
    else {
      this.updateIfDown();
      void this.watch.refresh();
    }
  }

  private updateIfDown(): void {
    if (this.links.connected().length === 0) this.update('down');
  }

  private update(state: LinkState): void {
    // Each node that comes back is news to those who missed something there.
    if (state === 'down' && this.current === 'down') return;
    this.current = state;
    for (const listener of this.listeners) listener(state);
  }

  private notifyResubscribed(): void {
    if (this.closed) return;
    for (const listener of this.resubscribed) listener();
  }
}
