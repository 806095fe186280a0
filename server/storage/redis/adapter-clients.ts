import type { Log } from '../../logging/log.js';
import { withTimeout } from '../../primitives/with-timeout.js';
import { destroy, type RedisClient as Client } from './redis-client.js';
import { connectorTo, type RedisConnector } from './redis-connector.js';
import { unknownCount, type SocketIoClients } from './socket-io-clients.js';

type Listener = (message: Buffer, channel: Buffer) => void;

/** A subscription of the adapter. */
interface Subscription {
  readonly subscribe: (client: Client) => Promise<unknown>;
  /** The connection that has it, or is being asked for it. */
  on?: Client;
  /** The user of Redis may not have it. */
  isDenied?: boolean;
}

/**
 * The two Redis clients for `@socket.io/redis-adapter`. The adapter does not handle rejections of its calls:
 * with plain clients, an unreachable Redis would end the process by an unhandled rejection. These clients
 * count failures instead, repeat failed subscriptions after a reconnection, and go where Redis goes.
 */
export class AdapterClients implements SocketIoClients {
  readonly isSharded = false;
  failures = 0;
  readonly publisher: object;
  readonly subscriber: object;
  private readonly connector: RedisConnector;
  private publishing: Client;
  private subscribing: Client;
  private readonly subscriptions = new Map<string, Subscription>();
  private started = false;
  private closed = false;
  private isRefusalLogged = false;

  constructor(
    private readonly dependencies: { readonly log: Log; readonly connector?: RedisConnector },
    private readonly settings: {
      readonly url: string;
      /** Time in which Redis has to answer how many replicas there are, in milliseconds. */
      readonly answerLimitMs: number;
    },
  ) {
    this.connector = dependencies.connector ?? connectorTo(settings.url, dependencies.log);
    this.publishing = this.newClient();
    this.subscribing = this.newSubscribing();
    this.connector.place.onMoved(() => this.reconnect());
    this.publisher = this.newPublisher();
    this.subscriber = this.newSubscriber();
  }

  get isDenied(): boolean {
    return [...this.subscriptions.values()].some((subscription) => subscription.isDenied);
  }

  start(): void {
    this.started = true;
    if (this.connector.place.host === undefined) return;
    for (const client of [this.publishing, this.subscribing])
      client.connect().catch((error: unknown) => this.failed('connect', error));
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    for (const client of [this.publishing, this.subscribing]) destroy(client);
  }

  /** The connections lead to another Redis than they should, or nowhere: they are made anew. */
  reconnect(): void {
    if (!this.started || this.closed) return;
    const former = [this.publishing, this.subscribing];
    this.publishing = this.newClient();
    this.subscribing = this.newSubscribing();
    for (const client of former) destroy(client);
    this.start();
  }

  private newClient(): Client {
    const client = this.connector.newClient();
    client.on('error', (error: Error) => this.failed('connection', error));
    return client;
  }

  private newSubscribing(): Client {
    const client = this.newClient();
    // The client itself repeats what it has subscribed.
    client.on('ready', () => {
      if (client !== this.subscribing) return;
      for (const subscription of this.subscriptions.values())
        if (subscription.on !== client) this.subscribe(subscription);
    });
    return client;
  }

  private subscribe(subscription: Subscription): void {
    const client = this.subscribing;
    subscription.on = client;
    subscription.subscribe(client).then(
      () => {
        subscription.isDenied = false;
      },
      (error: unknown) => {
        this.failed('subscribe', error);
        if (isNoPermission(error)) {
          subscription.isDenied = true;
          this.noteRefusal(error);
        }
        if (subscription.on === client) delete subscription.on;
      },
    );
  }

  /** Everything else works without it, so that nothing else would tell. */
  private noteRefusal(error: Error): void {
    if (this.isRefusalLogged) return;
    this.isRefusalLogged = true;
    this.dependencies.log.warn(
      'The user of Redis may not subscribe to the patterns of Socket.IO: what the program sends by io reaches the clients of this replica only',
      {
        error: error.message,
        remedy:
          'give the user the rights that rtc redis acl prints: Redis allows a pattern only by its exact name',
      },
    );
  }

  private newPublisher(): object {
    return {
      pSubscribe: () => {},
      publish: (channel: string, message: string | Buffer) =>
        this.publishing.publish(channel, message).catch((error: unknown) => {
          this.failed('publish', error);
          return 0;
        }),
      // The adapter takes a client that has this for one of node-redis, and never calls it here.
      sSubscribe: () => {},
      sendCommand: (args: string[]) =>
        withTimeout(this.publishing.sendCommand(args), this.settings.answerLimitMs).catch(
          (error: unknown) => {
            this.failed('command', error);
            return unknownCount;
          },
        ),
      // Errors are counted here; the adapter would only write that nobody listens.
      on: () => {},
      off: () => {},
    };
  }

  private newSubscriber(): object {
    const add = (name: string, subscribe: Subscription['subscribe']) => {
      const subscription: Subscription = { subscribe };
      this.subscriptions.set(name, subscription);
      this.subscribe(subscription);
    };
    const remove = (name: string, unsubscribe: (client: Client) => Promise<unknown>) => {
      this.subscriptions.delete(name);
      unsubscribe(this.subscribing).catch((error: unknown) => this.failed('unsubscribe', error));
    };
    return {
      pSubscribe: (pattern: string, listener: Listener) =>
        add(`pattern ${pattern}`, (client) => client.pSubscribe(pattern, listener, true)),
      subscribe: (channels: string[], listener: Listener) => {
        for (const channel of channels)
          add(`channel ${channel}`, (client) => client.subscribe(channel, listener, true));
      },
      pUnsubscribe: (pattern: string, listener: Listener) =>
        remove(`pattern ${pattern}`, (client) => client.pUnsubscribe(pattern, listener, true)),
      unsubscribe: (channel: string, listener: Listener) =>
        remove(`channel ${channel}`, (client) => client.unsubscribe(channel, listener, true)),
      on: () => {},
      off: () => {},
    };
  }

  private failed(what: string, error: unknown): void {
    this.failures++;
    if (!this.closed)
      this.dependencies.log.debug('Adapter command failed', {
        what,
        error: error instanceof Error ? error.message : error,
      });
  }
}

function isNoPermission(error: unknown): error is Error {
  return error instanceof Error && error.message.startsWith('NOPERM');
}
