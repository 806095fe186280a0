import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './wait.js';

interface Pair {
  readonly client: Socket;
  readonly redis: Socket;
  subscriber: boolean;
  /** Data from the client that has not reached Redis, while the path is held. */
  held: Buffer[] | undefined;
  /** What Redis answers does not arrive. */
  muted: boolean;
}

/** A network path to Redis that can hang like a real one: no data passes, and no error occurs. */
export class TcpProxy {
  private readonly pairs: Pair[] = [];

  private constructor(
    private readonly port: number,
    private readonly server: Server,
    private redisPort: number,
  ) {}

  static async start(redisPort: number): Promise<TcpProxy> {
    const server = createServer();
    const proxy = new TcpProxy(await freePort(), server, redisPort);
    server.on('connection', (client) => proxy.pass(client, connect(proxy.redisPort, '127.0.0.1')));
    await new Promise<void>((resolve) => server.listen(proxy.port, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** From now on no data passes on the open connections of this kind; new ones work. */
  hold(kind: 'commands' | 'subscriptions'): void {
    for (const pair of this.pairs) if (pair.subscriber === (kind === 'subscriptions')) pair.held ??= [];
  }

  /** From now on what Redis answers on the open connections for commands does not arrive: it runs them all the same. */
  mute(): void {
    for (const pair of this.pairs) if (!pair.subscriber) pair.muted = true;
  }

  /** From now on new connections lead to another Redis; the open ones stay. */
  leadTo(redisPort: number): void {
    this.redisPort = redisPort;
  }

  /** Ends the open connections of this kind, or all. */
  cut(kind?: 'commands' | 'subscriptions'): void {
    for (const { client, subscriber } of this.pairs)
      if (kind === undefined || subscriber === (kind === 'subscriptions')) client.destroy();
  }

  /**
   * Passes the data of the held connections to Redis, late. Resolves to its number of bytes, after Redis has
   * closed the connections.
   */
  async release(): Promise<number> {
    let bytes = 0;
    for (const { redis, held } of this.pairs) {
      if (held === undefined) continue;
      bytes += held.reduce((sum, part) => sum + part.length, 0);
      const closed = new Promise((resolve) => redis.once('close', resolve));
      redis.resume().end(Buffer.concat(held));
      await closed;
    }
    return bytes;
  }

  async stop(): Promise<void> {
    for (const { client, redis } of this.pairs) {
      client.destroy();
      redis.destroy();
    }
    await new Promise((resolve) => this.server.close(resolve));
  }

  private pass(client: Socket, redis: Socket): void {
    const pair: Pair = { client, redis, subscriber: false, held: undefined, muted: false };
    this.pairs.push(pair);
    client.on('data', (data) => {
      if (/^\*\d+\r\n\$9\r\nsubscribe\r\n/i.test(data.toString('latin1'))) pair.subscriber = true;
      if (pair.held === undefined) redis.write(data);
      else pair.held.push(data);
    });
    redis.on('data', (data) => {
      if (pair.held === undefined && !pair.muted) client.write(data);
    });
    client.on('error', () => {}).on('close', () => pair.held ?? redis.destroy());
    redis.on('error', () => {}).on('close', () => client.destroy());
  }
}
