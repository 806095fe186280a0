import { setTimeout as sleep } from 'node:timers/promises';
import { ErrorReply } from 'redis';
import type { Log } from '../../logging/log.js';
import { connectLimitMs, destroy, type RedisClient } from './redis-client.js';
import type { RedisConnector } from './redis-connector.js';

interface RedisSubscriberDependencies {
  readonly log: Log;
  readonly connector: RedisConnector;
  /** Called when {@link RedisSubscriber.live} may have changed. */
  readonly onChange: () => void;
  readonly onError: (error: Error) => void;
  /** Called with a channel that the node of a Redis Cluster has dropped or refused: its slot is somewhere else. */
  readonly onMoved?: (channel: string) => void;
}

interface RedisSubscriberSettings {
  /** A connection without any data for this long is replaced. */
  readonly stallLimitMs: number;
}

interface Channel {
  readonly listener: (message: Buffer) => void;
  /** Of a Redis Cluster: `SSUBSCRIBE`. */
  readonly isSharded: boolean;
}

const pingMs = 1000;
const retryMs = 1000;

/** The connection for subscriptions. Its channels are kept over reconnections. */
export class RedisSubscriber {
  private client: RedisClient;
  private readonly channels = new Map<string, Channel>();
  /** Channels whose unsubscription failed: the client would subscribe them again on the next connection. */
  private readonly strays = new Set<string>();
  private restored = false;
  private started = false;
  private closed = false;
  private lastReceivedAt = performance.now();
  private pinging = false;

  constructor(
    private readonly dependencies: RedisSubscriberDependencies,
    private readonly settings: RedisSubscriberSettings,
  ) {
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
  async subscribe(channel: string, listener: Channel['listener'], isSharded = false): Promise<void> {
    this.channels.set(channel, { listener, isSharded });
    const { client } = this;
    if (!client.isReady) throw new Error('not connected');
    if (isSharded) await this.subscribeSharded(client, channel);
    else await client.subscribe(channel, this.onMessage, true);
  }

  async unsubscribe(channel: string): Promise<void> {
    const isSharded = this.channels.get(channel)?.isSharded === true;
    this.channels.delete(channel);
    try {
      if (!this.client.isReady) throw new Error('not connected');
      // The listener must be passed: without it the client drops a SUBSCRIBE that follows at once as
      // redundant.
      if (isSharded) await this.client.sUnsubscribe(channel, this.onMessage, true);
      else await this.client.unsubscribe(channel, this.onMessage, true);
    } catch {
      // A sharded one ends with its slot or its connection.
      if (!isSharded) this.strays.add(channel);
    }
  }

  /** Checks the connection; must be called several times a second. */
  watch(): void {
    if (this.closed || !this.started) return;
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

  /** Replaces the connection by a new one. */
  replace(): void {
    const old = this.client;
    this.restored = false;
    this.client = this.newClient();
    this.dependencies.onChange();
    destroy(old);
    this.start();
  }

  close(): void {
    this.closed = true;
    destroy(this.client);
  }

  private newClient(): RedisClient {
    const client = this.dependencies.connector.newClient();
    this.lastReceivedAt = performance.now();
    this.pinging = false;
    client.on('error', (error: Error) => {
      this.dataReceived(client);
      this.dependencies.onError(error);
    });
    client.on('connect', () => this.dataReceived(client));
    client.on('reconnecting', () => {
      this.dataReceived(client);
      if (client !== this.client) return;
      // The client would subscribe its sharded channels again here, though their slots may be somewhere else by now.
      if (this.restored && this.isSharded) {
        this.replace();
        return;
      }
      this.restored = false;
      this.dependencies.onChange();
    });
    client.on('sharded-channel-moved', (channel: string | Buffer) => {
      if (client === this.client) this.dependencies.onMoved?.(channel.toString());
    });
    client.on('ready', () => {
      this.dataReceived(client);
      void this.restore(client);
    });
    return client;
  }

  private dataReceived(client: RedisClient): void {
    if (client !== this.client) return;
    this.lastReceivedAt = performance.now();
    this.pinging = false;
  }

  /**
   * The client restores its own subscriptions. This restores the ones that had failed, and ends the ones
   * whose unsubscription had failed.
   */
  private async restore(client: RedisClient): Promise<void> {
    const current = () => client === this.client && client.isReady && !this.closed;
    while (current() && !this.restored) {
      try {
        const all = [...this.channels];
        const plain = all.filter(([, { isSharded }]) => !isSharded).map(([name]) => name);
        const sharded = all.filter(([, { isSharded }]) => isSharded).map(([name]) => name);
        if (plain.length > 0) await client.subscribe(plain, this.onMessage, true);
        await Promise.all(sharded.map((name) => this.restoreSharded(client, name)));
        const strays = [...this.strays].filter((channel) => !this.channels.has(channel));
        this.strays.clear();
        if (strays.length > 0) await client.unsubscribe(strays, this.onMessage, true);
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

  private get isSharded(): boolean {
    for (const { isSharded } of this.channels.values()) if (isSharded) return true;
    return false;
  }

  private async subscribeSharded(client: RedisClient, channel: string): Promise<void> {
    await client.sSubscribe(channel, this.onMessage, true);
    // It may have been given up meanwhile, before the client knew of it.
    if (!this.channels.has(channel) && client.isReady)
      await client.sUnsubscribe(channel, this.onMessage, true).catch(() => {});
  }

  /** A channel whose slot is somewhere else does not keep the others from being live. */
  private async restoreSharded(client: RedisClient, channel: string): Promise<void> {
    try {
      await this.subscribeSharded(client, channel);
    } catch (error) {
      if (!(error instanceof ErrorReply) || !error.message.startsWith('MOVED ')) throw error;
      this.dependencies.onMoved?.(channel);
    }
  }

  private readonly onMessage = (message: Buffer, channel: Buffer): void => {
    this.lastReceivedAt = performance.now();
    const name = channel.toString();
    try {
      this.channels.get(name)?.listener(message);
    } catch (error) {
      this.dependencies.log.error('Handler of a message from Redis failed', { channel: name, error });
    }
  };
}
