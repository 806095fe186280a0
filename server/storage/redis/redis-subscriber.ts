import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../logging/log.js';
import { connectLimitMs, destroy, type RedisClient } from './redis-client.js';
import type { RedisConnector } from './redis-connector.js';
import { SubscribedChannels, type OnMessage } from './subscribed-channels.js';

interface RedisSubscriberDependencies {
  readonly log: Log;
  readonly connector: RedisConnector;
  /** Called when {@link RedisSubscriber.live} may have changed. */
  readonly onChange: () => void;
  readonly onError: (error: Error) => void;
  /** Called with a channel that the node of a Redis Cluster has dropped or refused: its slot is somewhere else. */
  readonly onMoved?: (channel: string) => void;
  /** Called when the subscriptions are on another connection: messages may have been missed. */
  readonly onRenewed?: () => void;
}

interface RedisSubscriberSettings {
  /** A connection without any data for this long is replaced. */
  readonly stallLimitMs: number;
}

const pingMs = 1000;
const retryMs = 1000;

/** The connection for subscriptions. Its channels are kept over reconnections. */
export class RedisSubscriber {
  private client: RedisClient;
  /** Takes the place of the other one when everything is subscribed on it. */
  private next: RedisClient | undefined;
  private nextSince = 0;
  private renewAgain = false;
  private readonly handlers = new WeakMap<RedisClient, OnMessage>();
  private readonly channels: SubscribedChannels;
  private restored = false;
  private started = false;
  private closed = false;
  private lastReceivedAt = performance.now();
  private pinging = false;

  constructor(
    private readonly dependencies: RedisSubscriberDependencies,
    private readonly settings: RedisSubscriberSettings,
  ) {
    this.channels = new SubscribedChannels({
      handlerOf: (client) => this.handlerOf(client),
      onMoved: (channel) => dependencies.onMoved?.(channel),
    });
    this.client = this.newClient();
  }

  /** True when connected, with every channel subscribed. */
  get live(): boolean {
    return this.restored && this.client.isReady;
  }

  start(): void {
    this.started = true;
    if (this.dependencies.connector.place.host === undefined) return;
    this.client.connect().catch((error: unknown) => {
      if (!this.closed) this.dependencies.log.warn('Redis connection failed', { error });
    });
  }

  /**
   * Subscribes a channel; resolves once it is live. After a rejection the channel is subscribed with the next
   * connection.
   */
  async subscribe(channel: string, listener: (message: Buffer) => void, isSharded = false): Promise<void> {
    this.channels.add(channel, listener, isSharded);
    if (!this.client.isReady) throw new Error('not connected');
    await this.channels.subscribe(this.client, channel);
  }

  unsubscribe(channel: string): Promise<void> {
    return this.channels.unsubscribe(this.client, channel);
  }

  /** A channel whose slot this node has given away: it has dropped it, or does so with {@link renew}. */
  forget(channel: string): void {
    this.channels.forget(channel);
  }

  /**
   * Moves all subscriptions to a new connection, without an interruption. A node that gives a slot away ends the
   * subscriptions of it by messages that look like answers, and the client takes them for answers to other commands: it
   * may believe that a channel is subscribed which is not.
   */
  renew(): void {
    if (this.closed || !this.restored) return;
    if (this.next !== undefined) {
      this.renewAgain = true;
      return;
    }
    const next = this.newClient();
    this.next = next;
    this.nextSince = performance.now();
    next.connect().catch(() => {
      if (this.next === next) this.next = undefined;
      destroy(next);
    });
  }

  /** Checks the connection; must be called several times a second. */
  watch(): void {
    if (this.closed || !this.started) return;
    this.watchNext();
    const silentMs = performance.now() - this.lastReceivedAt;
    const { stallLimitMs } = this.settings;
    if (silentMs > (this.client.isReady ? stallLimitMs : Math.max(stallLimitMs, connectLimitMs))) {
      this.replace();
    } else if (this.client.isReady && !this.pinging && silentMs >= pingMs) {
      this.pinging = true;
      const { client } = this;
      client
        .sendCommand(['PING'])
        .then(() => this.dataReceived(client))
        .catch(() => {});
    }
  }

  /** A new connection that hangs is given up, and another one is tried. */
  private watchNext(): void {
    const { next } = this;
    if (next === undefined || performance.now() - this.nextSince < connectLimitMs) return;
    this.next = undefined;
    destroy(next);
    this.renew();
  }

  /** Replaces the connection by a new one. */
  replace(): void {
    const former = [this.client, this.next];
    this.restored = false;
    this.next = undefined;
    this.client = this.newClient();
    this.dataReceived(this.client);
    this.dependencies.onChange();
    for (const client of former) if (client !== undefined) destroy(client);
    this.start();
  }

  close(): void {
    this.closed = true;
    for (const client of [this.client, this.next]) if (client !== undefined) destroy(client);
  }

  private newClient(): RedisClient {
    const client = this.dependencies.connector.newClient();
    client.on('error', (error: Error) => {
      this.dataReceived(client);
      this.dependencies.onError(error);
      // The client has lost its place in what it receives.
      if (error instanceof TypeError && client === this.client) this.replace();
    });
    client.on('connect', () => this.dataReceived(client));
    client.on('reconnecting', () => {
      this.dataReceived(client);
      if (client !== this.client) return;
      // The client would subscribe its sharded channels again here, though their slots may be somewhere else by now.
      if (this.restored && this.channels.hasSharded) {
        this.replace();
        return;
      }
      this.restored = false;
      this.dependencies.onChange();
    });
    client.on('sharded-channel-moved', (channel: string | Buffer) => {
      if (client !== this.client) return;
      this.dependencies.onMoved?.(channel.toString());
      this.renew();
    });
    client.on('ready', () => {
      this.dataReceived(client);
      void (client === this.next ? this.takeOver(client) : this.restore(client));
    });
    return client;
  }

  private dataReceived(client: RedisClient): void {
    if (client !== this.client) return;
    this.lastReceivedAt = performance.now();
    this.pinging = false;
  }

  private async restore(client: RedisClient): Promise<void> {
    const current = () => client === this.client && client.isReady && !this.closed;
    while (current() && !this.restored) {
      try {
        await this.channels.subscribeAll(client);
        if (!current()) return;
        this.restored = true;
        this.dependencies.onChange();
      } catch (error) {
        // The owner logs a refused password, once.
        if (error instanceof Error) this.dependencies.onError(error);
        this.dependencies.log.debug('Redis subscriptions not restored yet', { error });
        await sleep(retryMs, undefined, { ref: false });
      }
    }
  }

  private async takeOver(next: RedisClient): Promise<void> {
    try {
      await this.channels.subscribeAll(next);
    } catch (error) {
      this.dependencies.log.debug('Redis subscriptions not renewed', { error });
      destroy(next);
      if (this.next !== next) return;
      // The place is kept until the next attempt: a connection that is replaced meanwhile makes that unnecessary.
      setTimeout(() => {
        if (this.next !== next) return;
        this.next = undefined;
        this.renew();
      }, retryMs).unref();
      return;
    }
    if (this.next !== next || this.closed) return;
    const former = this.client;
    this.next = undefined;
    this.client = next;
    this.restored = true;
    destroy(former);
    this.dataReceived(next);
    this.dependencies.onChange();
    this.dependencies.onRenewed?.();
    if (!this.renewAgain) return;
    this.renewAgain = false;
    this.renew();
  }

  /** Messages count on the connection in use only: while it is renewed, two have the same channels. */
  private handlerOf(client: RedisClient): OnMessage {
    const known = this.handlers.get(client);
    if (known !== undefined) return known;
    const handler: OnMessage = (message, channel) => {
      if (client === this.client) this.onMessage(message, channel);
    };
    this.handlers.set(client, handler);
    return handler;
  }

  private onMessage(message: Buffer, channel: Buffer): void {
    this.lastReceivedAt = performance.now();
    const name = channel.toString();
    try {
      this.channels.listenerOf(name)?.(message);
    } catch (error) {
      this.dependencies.log.error('Handler of a message from Redis failed', { channel: name, error });
    }
  }
}
