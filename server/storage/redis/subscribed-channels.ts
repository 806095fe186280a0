import { ErrorReply } from 'redis';
import type { RedisClient } from './redis-client.js';

interface Channel {
  readonly listener: (message: Buffer) => void;
  /** Of a Redis Cluster: `SSUBSCRIBE`. */
  readonly isSharded: boolean;
}

/** Receives the messages of all channels of a client. */
export type OnMessage = (message: Buffer, channel: Buffer) => void;

/** The channels of a connection for subscriptions, whichever client has it now. */
export class SubscribedChannels {
  private readonly channels = new Map<string, Channel>();
  /** Channels whose unsubscription failed: the client would subscribe them again on the next connection. */
  private readonly strays = new Set<string>();

  constructor(
    private readonly dependencies: {
      /** The same one each time for a client. */
      readonly handlerOf: (client: RedisClient) => OnMessage;
      /** Called with a channel that a node of a Redis Cluster refuses, because its slot is somewhere else. */
      readonly onMoved: (channel: string) => void;
    },
  ) {}

  /** Whether there are some that belong to slots. */
  get hasSharded(): boolean {
    for (const { isSharded } of this.channels.values()) if (isSharded) return true;
    return false;
  }

  listenerOf(name: string): Channel['listener'] | undefined {
    return this.channels.get(name)?.listener;
  }

  /** Keeps a channel, subscribed or not. */
  add(name: string, listener: Channel['listener'], isSharded: boolean): void {
    this.channels.set(name, { listener, isSharded });
  }

  /** The node has dropped the channel itself. */
  forget(name: string): void {
    this.channels.delete(name);
  }

  async subscribe(client: RedisClient, name: string): Promise<void> {
    const onMessage = this.dependencies.handlerOf(client);
    if (this.channels.get(name)?.isSharded === true) await client.sSubscribe(name, onMessage, true);
    else await client.subscribe(name, onMessage, true);
  }

  async unsubscribe(client: RedisClient, name: string): Promise<void> {
    const isSharded = this.channels.get(name)?.isSharded === true;
    this.channels.delete(name);
    const onMessage = this.dependencies.handlerOf(client);
    try {
      if (!client.isReady) throw new Error('not connected');
      // The listener must be passed: without it the client drops a SUBSCRIBE that follows at once as
      // redundant.
      if (isSharded) await client.sUnsubscribe(name, onMessage, true);
      else await client.unsubscribe(name, onMessage, true);
    } catch {
      // A sharded one ends with its connection: each connection begins without them.
      if (!isSharded) this.strays.add(name);
    }
  }

  /**
   * Subscribes everything on a client. The client restores its own subscriptions; this restores those that had failed,
   * and ends those whose unsubscription had failed.
   */
  async subscribeAll(client: RedisClient): Promise<void> {
    const onMessage = this.dependencies.handlerOf(client);
    const names = [...this.channels.keys()];
    const plain = names.filter((name) => this.channels.get(name)?.isSharded === false);
    const sharded = names.filter((name) => this.channels.get(name)?.isSharded === true);
    if (plain.length > 0) await client.subscribe(plain, onMessage, true);
    await Promise.all(sharded.map((name) => this.subscribeSharded(client, name)));
    const strays = [...this.strays].filter((name) => !this.channels.has(name));
    this.strays.clear();
    if (strays.length > 0) await client.unsubscribe(strays, onMessage, true);
    const later = [...this.channels.keys()].filter((name) => !names.includes(name));
    // Those that have come meanwhile have been subscribed on the client that was in use.
    if (later.length > 0) await this.subscribeAll(client);
  }

  /** A channel whose slot is somewhere else does not keep the others from being live. */
  private async subscribeSharded(client: RedisClient, name: string): Promise<void> {
    const onMessage = this.dependencies.handlerOf(client);
    try {
      await client.sSubscribe(name, onMessage, true);
      // It may have been given up meanwhile.
      if (!this.channels.has(name)) await client.sUnsubscribe(name, onMessage, true);
    } catch (error) {
      if (!(error instanceof ErrorReply) || !error.message.startsWith('MOVED ')) throw error;
      this.dependencies.onMoved(name);
    }
  }
}
