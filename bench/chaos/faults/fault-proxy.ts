import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { FaultLink, type PathState } from './fault-link.js';
import { resetSocket } from '../../reset-socket.js';

/**
 * A network path between two processes, with faults. Everything between replicas and Redis, and between clients and
 * replicas, goes through one.
 */
export class FaultProxy {
  readonly state: PathState = { delayMs: 0, isHeld: false, isRefusing: false };
  private readonly links = new Set<FaultLink>();

  private constructor(
    private readonly server: Server,
    private targetPort: number,
  ) {}

  static async start(targetPort: number): Promise<FaultProxy> {
    const server = createServer();
    const proxy = new FaultProxy(server, targetPort);
    server.on('connection', (near) => proxy.accept(near));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** New connections go to another process. */
  retarget(port: number): void {
    this.targetPort = port;
  }

  /** Ends all connections at once, in the midst of what they carry. */
  cut(): void {
    for (const link of [...this.links]) link.cut();
  }

  /** The near ends are gone and the far ends are not told: they stay open, as after a loss of power. */
  abandonNear(): void {
    for (const link of [...this.links]) link.abandonNear();
  }

  /** Path as new: nothing delayed, held or refused. */
  heal(): void {
    this.state.delayMs = 0;
    this.state.isRefusing = false;
    this.state.isHeld = false;
    for (const link of this.links) link.pump();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private accept(near: Socket): void {
    if (this.state.isRefusing) {
      near.on('error', () => {});
      resetSocket(near);
      return;
    }
    const far = connect({ port: this.targetPort, host: '127.0.0.1', noDelay: true });
    const link = new FaultLink(near, far, this.state, () => this.links.delete(link));
    this.links.add(link);
  }
}
