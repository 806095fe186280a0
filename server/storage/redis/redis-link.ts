import { setTimeout as sleep } from 'node:timers/promises';
import { ErrorReply } from 'redis';
import type { Log } from '../../logging/log.js';
import { systemClock } from '../../primitives/clock.js';
import { RedisClock } from './redis-clock.js';
import { RedisCommands, type RedisCommandsSettings } from './redis-commands.js';
import { connectorTo, type RedisConnector } from './redis-connector.js';
import { elsewhere, RedisIdentification, type RedisIdentificationSettings } from './redis-identification.js';
import { continued, readReplication, type RedisProcess } from './redis-process.js';
import { RedisOutage } from './redis-outage.js';
import { RedisPair } from './redis-pair.js';
import { outcomeUnknown, refused, unavailable } from './redis-refusals.js';
import type {
  ChannelKind,
  LinkState,
  RedisArgument,
  RedisNode,
  RedisStore,
  ReplyForm,
} from './redis-store.js';
import { RedisSuccession } from './redis-succession.js';
import { RedisSubscriber } from './redis-subscriber.js';
import { RedisWrites } from './redis-writes.js';

interface RedisLinkDependencies {
  readonly log: Log;
  /** Where Redis is. Default: at the address in the settings. */
  readonly connector?: RedisConnector;
  /** Shared by the links to the nodes of a Redis Cluster. */
  readonly writes?: RedisWrites;
  /** Called with a channel that the node has dropped or refused, because its slot is somewhere else. */
  readonly onChannelMoved?: (channel: string) => void;
}

interface RedisLinkSettings extends RedisIdentificationSettings, RedisCommandsSettings {
  readonly url: string;
  /** The channel by which the replicas talk; needed with `keyPrefix`. */
  readonly busChannel?: string;
}

export interface LinkCounts {
  reconnects: number;
  errors: number;
  stalls: number;
}

const watchMs = 250;
/** How often Redis is asked for its role and history, in milliseconds. */
const checkMs = 1000;

/**
 * The connections to one Redis: one for commands, one for subscriptions. The link reconnects for ever,
 * reports whether Redis is unreachable, stalled or a read-only replica, and never queues a command that
 * cannot be sent.
 */
export class RedisLink implements RedisStore, RedisNode {
  readonly isCluster = false;
  readonly publishCommand = 'PUBLISH';
  readonly counts: LinkCounts = { reconnects: 0, errors: 0, stalls: 0 };
  /** Notifies operators that Redis cannot be used. */
  readonly outage: RedisOutage;
  readonly writes: RedisWrites;
  readonly clock = new RedisClock();
  private readonly connector: RedisConnector;
  private readonly commands: RedisCommands;
  private readonly subscriber: RedisSubscriber;
  /** Undefined for a link without `keyPrefix`. */
  readonly succession: RedisSuccession | undefined;
  private readonly pair: RedisPair | undefined;
  private readonly identification: RedisIdentification;
  private process: RedisProcess | undefined;
  /** The process that was connected last. */
  private lastProcess: RedisProcess | undefined;
  private started = false;
  private closed = false;
  private lastCheckAt = 0;
  private lastLookAt = performance.now();
  /** Counts identifications, so that the result for an earlier connection is ignored. */
  private attempt = 0;
  private current: LinkState = 'down';
  private readonly listeners: ((state: LinkState) => void)[] = [];
  private readonly resubscribed: (() => void)[] = [];
  private readonly left: (() => void)[] = [];
  private readonly watch: NodeJS.Timeout;

  constructor(
    private readonly dependencies: RedisLinkDependencies,
    private readonly settings: RedisLinkSettings,
  ) {
    const { log } = dependencies;
    this.writes = dependencies.writes ?? new RedisWrites();
    this.outage = new RedisOutage({ log, clock: systemClock });
    this.connector = dependencies.connector ?? connectorTo(settings.url, log);
    const { place } = this.connector;
    place.onMoved(() => this.moved());
    place.onUnknown((error) => this.outage.failed(error));
    const { clock, writes, outage } = this;
    const { keyPrefix, busChannel } = settings;
    this.succession =
      keyPrefix === undefined || busChannel === undefined
        ? undefined
        : new RedisSuccession(
            {
              log,
              connector: this.connector,
              clock,
              outage,
              inUse: () => this.process,
              leave: () => this.leave(),
            },
            { keyPrefix, busChannel },
          );
    this.identification = new RedisIdentification(
      { log, clock, writes, succession: this.succession },
      settings,
    );
    this.commands = new RedisCommands(
      {
        log,
        connector: this.connector,
        writes,
        counts: this.counts,
        onReady: () => void this.identify(),
        onLost: () => this.lost(),
        onChange: () => this.update(),
        onError: (error) => this.onError(error),
        onCannotServe: () => this.doubt(),
        onHang: () => this.replace(),
      },
      settings,
    );
    this.subscriber = new RedisSubscriber(
      {
        log,
        connector: this.connector,
        onChange: () => this.update(),
        onError: (error) => this.onError(error),
        onRenewed: () => this.notifyResubscribed(),
        ...(dependencies.onChannelMoved !== undefined && { onMoved: dependencies.onChannelMoved }),
      },
      settings,
    );
    this.pair =
      keyPrefix === undefined
        ? undefined
        : new RedisPair({ log, subscriber: this.subscriber, leave: () => this.leave() }, { keyPrefix });
    this.watch = setInterval(() => this.look(), watchMs);
    this.watch.unref();
  }

  get state(): LinkState {
    return this.current;
  }

  /** Why the service cannot work with the Redis that it has found; undefined if there is no such reason. */
  get unsupported(): string | undefined {
    return this.identification.unsupported;
  }

  /** The connected Redis process; undefined before the first connection. */
  get redis(): RedisProcess | undefined {
    return this.process;
  }

  /** Called on every change of the state. */
  onState(listener: (state: LinkState) => void): void {
    this.listeners.push(listener);
  }

  /** Called when subscriptions are live again; messages may have been missed in between. */
  onResubscribed(listener: () => void): void {
    this.resubscribed.push(listener);
  }

  /** Called when the connections lead to another Redis than they should, and are replaced. */
  onLeft(listener: () => void): void {
    this.left.push(listener);
  }

  /** Starts to connect and returns at once. An unreachable Redis is connected as soon as it is reachable. */
  start(): void {
    this.started = true;
    this.connector.place.start();
    this.commands.connect();
    this.subscriber.start();
    this.pair?.start();
    this.succession?.start();
  }

  /** Resolves when the state is `up`, or after `limitMs`. */
  async whenUp(limitMs: number): Promise<boolean> {
    const until = performance.now() + limitMs;
    while (
      this.current === 'down' &&
      !this.closed &&
      this.unsupported === undefined &&
      performance.now() < until
    ) {
      await sleep(10);
    }
    return this.current === 'up';
  }

  nodes(): readonly RedisNode[] {
    return [this];
  }

  slotOf(): number {
    return 0;
  }

  ownerOf(): undefined {
    return undefined;
  }

  at<Result>(_key: string, run: (node: RedisNode) => Promise<Result>): Promise<Result> {
    return run(this);
  }

  /**
   * Sends a command now, or throws.
   *
   * @throws RefusalError `unavailable` if it was not sent; {@link ResponseLostError} if it was sent and no
   * response came.
   */
  async call<Reply>(args: RedisArgument[], form: ReplyForm = 'strings'): Promise<Reply> {
    if (this.current === 'down') throw this.unavailable();
    return this.commands.send<Reply>(this.commands.client, args, form);
  }

  tryOut(args: string[]): Promise<unknown> {
    return this.commands.client.sendCommand(args);
  }

  /**
   * Subscribes one channel; resolves once it is live. The subscription is kept over reconnections; after a
   * rejection it is made with the next connection.
   */
  async subscribe(
    channel: string,
    listener: (message: Buffer) => void,
    kind: ChannelKind = 'all',
  ): Promise<void> {
    try {
      await this.subscriber.subscribe(channel, listener, kind === 'slot' && this.settings.inCluster === true);
    } catch (error) {
      throw this.unavailable(error);
    }
  }

  unsubscribe(channel: string): Promise<void> {
    return this.subscriber.unsubscribe(channel);
  }

  /** This node of a Redis Cluster has given the slot of a channel away. Followed by {@link renewSubscriptions}. */
  forgetChannel(channel: string): void {
    this.subscriber.forget(channel);
  }

  /** Moves the subscriptions to a new connection, see {@link RedisSubscriber.renew}. */
  renewSubscriptions(): void {
    this.subscriber.renew();
  }

  readonly unavailable = unavailable;
  readonly refused = refused;
  readonly outcomeUnknown = outcomeUnknown;

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.watch);
    this.connector.place.close();
    this.commands.close();
    this.subscriber.close();
    this.outage.close();
    this.succession?.close();
    this.update();
  }

  /** Redis is somewhere else: what the former one still answers must not count. */
  private moved(): void {
    if (this.started && !this.closed) this.replace();
  }

  private onError(error: Error): void {
    this.counts.errors++;
    this.dependencies.log.debug('Redis connection error', { error: error.message });
    // A connection that has been replaced may fail late.
    if (!this.closed && !(this.commands.isReady && this.subscriber.live)) this.outage.failed(error);
  }

  private lost(): void {
    this.attempt++;
    this.process = undefined;
    this.update();
  }

  /** Redis replied that it cannot serve the log: identify it again. */
  private doubt(): void {
    if (this.process === undefined) return;
    this.process = undefined;
    this.update();
    void this.identify();
  }

  /** Identifies the Redis process before any other command is sent to it. */
  private async identify(): Promise<void> {
    const own = ++this.attempt;
    const { client } = this.commands;
    const isCurrent = () =>
      own === this.attempt && client === this.commands.client && client.isReady && !this.closed;
    while (isCurrent()) {
      const next = await this.identification
        .identify((args) => this.commands.send(client, args), this.lastProcess)
        .catch((error: unknown) => {
          if (isCurrent()) this.notIdentified(error);
          return elsewhere;
        });
      if (!isCurrent()) return;
      if ('runId' in next) {
        this.process = next;
        this.lastProcess = next;
        this.counts.reconnects++;
        this.update();
        return;
      }
      await sleep(next.waitMs, undefined, { ref: false });
      if (isCurrent() && next.reconnect) this.replace();
    }
  }

  private notIdentified(error: unknown): void {
    if (error instanceof ErrorReply) this.outage.failed(error);
    this.dependencies.log.debug('Redis did not identify itself', { error });
  }

  /** A script has found another history than this link knows. Resolves when it is known, or after `limitMs`. */
  async recheckHistory(limitMs: number): Promise<void> {
    await this.checkHistory();
    await this.whenUp(limitMs);
  }

  /**
   * Asks Redis whether it is still the one that was identified: it can be demoted, take over the data of another,
   * and be promoted again, on open connections.
   */
  private async checkHistory(): Promise<void> {
    const { client } = this.commands;
    const call = (args: string[]) => this.commands.send<string>(client, args);
    let answer: string;
    try {
      void this.clock.measure(call).catch(() => {});
      answer = await call(['INFO', 'replication']);
    } catch {
      // The connection was lost, or commands are refused: both are handled where it happens.
      return;
    }
    const { process } = this;
    if (client !== this.commands.client || process === undefined) return;
    const now = readReplication(answer);
    const next = continued(process, now);
    if (next === undefined) {
      this.dependencies.log.warn('Redis has been replaced, or was a replica meanwhile', {
        run_id: process.runId,
        replication_id: now.id,
        offset: now.offset,
      });
      this.doubt();
      return;
    }
    if (next.histories[0] !== process.histories[0]) this.succession?.renamed(call, next);
    this.process = next;
    this.lastProcess = next;
    void this.pair?.check(client);
  }

  /** Detects stalls, and keeps a command in flight for that. */
  private look(): void {
    const now = performance.now();
    const late = now - this.lastLookAt > 2 * watchMs;
    this.lastLookAt = now;
    // If this process itself was blocked, responses may be waiting to be read: that is no stall of Redis.
    if (this.closed || !this.started || late) return;
    this.subscriber.watch();
    this.commands.watch(this.process !== undefined);
    if (!this.commands.isReady || this.process === undefined || now - this.lastCheckAt < checkMs) return;
    this.lastCheckAt = now;
    void this.checkHistory();
  }

  /** Another Redis is to be used than the connected one. */
  private leave(): void {
    if (this.closed) return;
    this.replace();
    for (const listener of this.left) listener();
  }

  /** Closes connections that do not answer, or lead to the wrong Redis. */
  private replace(): void {
    this.commands.replace();
    this.subscriber.replace();
    this.commands.connect();
  }

  private update(): void {
    const { isReady, isStalled } = this.commands;
    const isUp = !this.closed && this.process !== undefined && isReady && !isStalled && this.subscriber.live;
    const state: LinkState = isUp ? 'up' : 'down';
    if (state === this.current) return;
    this.current = state;
    if (isUp) this.outage.up();
    else if (!this.closed && (isStalled || !isReady || !this.subscriber.live)) this.outage.down(isStalled);
    if (!this.closed)
      this.dependencies.log.info(`Redis is ${state}`, { run_id: this.process?.runId, stalled: isStalled });
    for (const listener of this.listeners) listener(state);
    if (state === 'up') this.notifyResubscribed();
  }

  private notifyResubscribed(): void {
    for (const listener of this.resubscribed) listener();
  }
}
