import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './wait.js';

/** A network path to Redis that can be cut, or stand still: then data arrives late, in both directions. */
export class FaultyPath {
  private readonly pairs = new Set<readonly [Socket, Socket]>();
  private frozen = false;

  private constructor(
    private readonly port: number,
    private readonly server: Server,
  ) {}

  static async start(redisPort: number): Promise<FaultyPath> {
    const server = createServer({ pauseOnConnect: true });
    const path = new FaultyPath(await freePort(), server);
    server.on('connection', (client) => path.pass(client, connect(redisPort, '127.0.0.1')));
    await new Promise<void>((resolve) => server.listen(path.port, '127.0.0.1', resolve));
    return path;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  freeze(): void {
    this.frozen = true;
    for (const pair of this.pairs) for (const socket of pair) socket.pause();
  }

  thaw(): void {
    this.frozen = false;
    for (const pair of this.pairs) for (const socket of pair) socket.resume();
  }

  cut(): void {
    for (const pair of this.pairs) for (const socket of pair) socket.destroy();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private pass(client: Socket, redis: Socket): void {
    const pair = [client, redis] as const;
    this.pairs.add(pair);
    const flow = (from: Socket, to: Socket) => {
      from.on('data', (data) => void to.write(data));
      from.on('error', () => {});
      from.on('close', () => {
        this.pairs.delete(pair);
        to.destroy();
      });
      if (this.frozen) from.pause();
      else from.resume();
    };
    flow(client, redis);
    flow(redis, client);
  }
}
