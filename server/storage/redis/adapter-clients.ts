import type { Log } from '../../logging/log.js';
import { withTimeout } from '../../primitives/with-timeout.js';
import { destroy, newRedisClient, type RedisClient as Client } from './redis-client.js';

/**
 * What `PUBSUB NUMSUB`, the one command of the adapter, is answered with where Redis does not answer: no
 * number. The adapter then waits for replies until its time-out and reports that to the caller. A rejection
 * would reach nobody: a broadcast leaves that promise to itself, and a server-side event would never be
 * answered.
 */
const unknownCount: readonly string[] = ['', 'unknown'];

type Listener = (message: Buffer, channel: Buffer) => void;

/**
 * The two Redis clients for `@socket.io/redis-adapter`. The adapter does not handle rejections of its calls:
 * with plain clients, an unreachable Redis would end the process by an unhandled rejection. These clients
 * count failures instead, and repeat failed subscriptions after a reconnection.
 */
export class AdapterClients {
  failures = 0;
  readonly publisher: object;
  readonly subscriber: object;
  private readonly clients: Client[];
  private closed = false;

  constructor(
    private readonly dependencies: { readonly log: Log },
    private readonly settings: {
      readonly url: string;
      /** Time in which Redis has to answer how many replicas there are, in milliseconds. */
      readonly answerLimitMs: number;
    },
  ) {
    const [publisher, subscriber] = [this.newClient(settings.url), this.newClient(settings.url)];
    this.clients = [publisher, subscriber];
    this.publisher = this.publishing(publisher);
    this.subscriber = this.subscribing(subscriber);
  }

  start(): void {
    for (const client of this.clients) {
      client.connect().catch((error: unknown) => this.failed('connect', error));
    }
  }

  /** The connections may lead to another Redis than they should: Redis closes them, and they are made anew. */
  reconnect(): void {
    for (const client of this.clients)
      client.sendCommand(['QUIT']).catch(() => {
        // It is not connected, or was closed before the answer.
      });
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    for (const client of this.clients) destroy(client);
  }

  private newClient(url: string): Client {
    const client = newRedisClient(url);
    client.on('error', (error: Error) => this.failed('connection', error));
    return client;
  }

  private publishing(client: Client): object {
    return {
      pSubscribe: () => {},
      publish: (channel: string, message: string | Buffer) =>
        client.publish(channel, message).catch((error: unknown) => {
          this.failed('publish', error);
          return 0;
        }),
      // The adapter takes a client that has this for one of node-redis, and never calls it here.
      sSubscribe: () => {},
      sendCommand: (args: string[]) =>
        withTimeout(client.sendCommand(args), this.settings.answerLimitMs).catch((error: unknown) => {
          this.failed('command', error);
          return unknownCount;
        }),
      on: (event: string, listener: () => void) => client.on(event, listener),
      off: (event: string, listener: () => void) => client.off(event, listener),
    };
  }

  private subscribing(client: Client): object {
    const waiting: (() => Promise<unknown>)[] = [];
    const attempt = (subscribe: () => Promise<unknown>) => {
      subscribe().catch((error: unknown) => {
        this.failed('subscribe', error);
        waiting.push(subscribe);
      });
    };
    client.on('ready', () => {
      for (const subscribe of waiting.splice(0)) attempt(subscribe);
    });
    const forget = (unsubscribe: Promise<unknown>) => {
      unsubscribe.catch((error: unknown) => this.failed('unsubscribe', error));
    };
    return {
      pSubscribe: (pattern: string, listener: Listener) =>
        attempt(() => client.pSubscribe(pattern, listener, true)),
      subscribe: (channels: string[], listener: Listener) =>
        attempt(() => client.subscribe(channels, listener, true)),
      pUnsubscribe: (pattern: string, listener: Listener) =>
        forget(client.pUnsubscribe(pattern, listener, true)),
      unsubscribe: (channel: string, listener: Listener) =>
        forget(client.unsubscribe(channel, listener, true)),
      on: (event: string, listener: () => void) => client.on(event, listener),
      off: (event: string, listener: () => void) => client.off(event, listener),
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
