import { connect, createServer, type Server, type Socket } from 'node:net';

/** A target of the balancer. */
interface Target {
  readonly port: number;
  isReady: boolean;
}

const checkMs = 100;

/**
 * A load balancer as users have one: it asks each replica whether it is ready, and spreads connections over those that are. A connection whose
 * first request names a transport (`sid`) goes to the replica of the last handshake with the same `c`, a number that clients send in their
 * query: sticky for long-polling, and free for everything else.
 */
export class Balancer {
  /** New connections by second of their arrival, of handshakes only. */
  readonly handshakesAt: number[] = [];
  private readonly targets: Target[];
  private readonly byClient = new Map<string, number>();
  private readonly sockets = new Set<Socket>();
  private next = 0;
  private readonly timer: NodeJS.Timeout;

  private constructor(
    private readonly server: Server,
    ports: readonly number[],
  ) {
    this.targets = ports.map((port) => ({ port, isReady: true }));
    server.on('connection', (client) => this.accept(client));
    this.timer = setInterval(() => void this.check(), checkMs);
  }

  static async start(ports: readonly number[]): Promise<Balancer> {
    const server = createServer();
    const balancer = new Balancer(server, ports);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return balancer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as { port: number }).port}`;
  }

  add(port: number): void {
    this.targets.push({ port, isReady: true });
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async check(): Promise<void> {
    for (const target of this.targets)
      target.isReady = await fetch(`http://127.0.0.1:${target.port}/health/ready`, {
        signal: AbortSignal.timeout(1000),
      }).then(
        ({ ok }) => ok,
        () => false,
      );
  }

  private accept(client: Socket): void {
    this.sockets.add(client);
    client.on('error', () => {}).on('close', () => this.sockets.delete(client));
    client.once('data', (head) => {
      const [line = ''] = head.toString('latin1').split('\r\n', 1);
      const name = /[?&]c=(\d+)/.exec(line)?.[1] ?? '';
      const isHandshake = !line.includes('sid=');
      if (isHandshake) this.handshakesAt.push(performance.now());
      const ready = this.targets.filter(({ isReady }) => isReady);
      const chosen = isHandshake ? ready[this.next++ % ready.length]?.port : this.byClient.get(name);
      if (chosen === undefined) {
        client.destroy();
        return;
      }
      if (isHandshake) this.byClient.set(name, chosen);
      const replica = connect(chosen, '127.0.0.1');
      this.sockets.add(replica);
      replica
        .on('error', () => {})
        .on('close', () => {
          this.sockets.delete(replica);
          client.destroy();
        });
      client.on('close', () => replica.destroy());
      replica.write(head);
      client.pipe(replica).pipe(client);
    });
  }
}
