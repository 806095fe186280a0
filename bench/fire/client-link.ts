import { Agent, type ClientRequestArgs } from 'node:http';
import { connect, type Socket } from 'node:net';
import { resetSocket } from '../reset-socket.js';

/** The ports of the replicas that a balancer would lead new connections to. */
export interface Rotation {
  ports: readonly number[];
}

/**
 * The network between one client and the replicas, as the client's HTTP agent: each new connection leads to the next replica in rotation,
 * and a cut resets the TCP connection and lets none through for a while. The client itself knows nothing of it.
 */
export class ClientLink extends Agent {
  private socket: Socket | undefined;
  private heldUntil = 0;
  private connections = 0;

  constructor(
    private readonly rotation: Rotation,
    private readonly number: number,
  ) {
    super();
  }

  get isHeld(): boolean {
    return performance.now() < this.heldUntil;
  }

  cut(forMs: number): void {
    this.heldUntil = performance.now() + forMs;
    if (this.socket !== undefined) resetSocket(this.socket);
  }

  override createConnection(
    _options: ClientRequestArgs,
    callback?: (error: Error | null, stream: Socket) => void,
  ): Socket | undefined {
    const { ports } = this.rotation;
    if (this.isHeld || ports.length === 0) {
      process.nextTick(() => callback?.(new Error('the network is down'), undefined as never));
      return undefined;
    }
    const socket = connect(ports[(this.number + this.connections++) % ports.length]!, '127.0.0.1');
    socket.setNoDelay(true);
    this.socket = socket;
    return socket;
  }
}
