import type { Socket } from 'node:net';
import { resetSocket } from '../../reset-socket.js';

/** What a path does to the data on it, from the moment it is set. */
export interface PathState {
  /** Each piece of data arrives so much later, in order, in milliseconds. */
  delayMs: number;
  /** Nothing passes and nothing ends, as on a path whose router has died: what arrives waits. */
  isHeld: boolean;
  /** New connections are closed at once. */
  isRefusing: boolean;
}

interface Piece {
  readonly data: Buffer;
  readonly dueAt: number;
}

/** One direction of a link. */
interface Flow {
  readonly from: Socket;
  readonly to: Socket;
  readonly waiting: Piece[];
  hasEnded: boolean;
  timer: NodeJS.Timeout | undefined;
}

/** While more pieces than this wait, the sender is not read, so that it meets the backpressure of a real path. */
const waitingLimit = 64;

/** One connection through a `FaultProxy`. */
export class FaultLink {
  private readonly flows: readonly [Flow, Flow];
  private isAbandoned = false;
  private isOver = false;

  constructor(
    private readonly near: Socket,
    private readonly far: Socket,
    private readonly state: PathState,
    private readonly onOver: () => void,
  ) {
    near.setNoDelay(true);
    this.flows = [this.flow(near, far), this.flow(far, near)];
    near.on('close', () => this.onClosed(near));
    far.on('close', () => this.onClosed(far));
  }

  /** Passes on what is due. */
  pump(): void {
    for (const flow of this.flows) this.pass(flow);
  }

  cut(): void {
    resetSocket(this.near);
    resetSocket(this.far);
    this.end();
  }

  abandonNear(): void {
    this.isAbandoned = true;
    resetSocket(this.near);
    // What the far end still sends goes nowhere; it learns nothing.
    this.far.resume();
  }

  private flow(from: Socket, to: Socket): Flow {
    const flow: Flow = { from, to, waiting: [], hasEnded: false, timer: undefined };
    from.on('data', (data) => {
      if (this.isAbandoned) return;
      flow.waiting.push({ data, dueAt: performance.now() + this.state.delayMs });
      if (flow.waiting.length >= waitingLimit) from.pause();
      this.pass(flow);
    });
    from.on('end', () => {
      flow.hasEnded = true;
      this.pass(flow);
    });
    from.on('error', () => {});
    to.on('drain', () => this.pass(flow));
    return flow;
  }

  private pass(flow: Flow): void {
    const { from, to, waiting } = flow;
    if (this.isOver || this.isAbandoned || this.state.isHeld || flow.timer !== undefined) return;
    while (waiting.length > 0) {
      if (to.writableNeedDrain) return;
      const waitMs = waiting[0]!.dueAt - performance.now();
      if (waitMs > 0) {
        flow.timer = setTimeout(() => {
          flow.timer = undefined;
          this.pass(flow);
        }, Math.ceil(waitMs));
        return;
      }
      to.write(waiting.shift()!.data);
      if (waiting.length < waitingLimit / 2 && from.isPaused()) from.resume();
    }
    if (flow.hasEnded) to.end();
  }

  private onClosed(socket: Socket): void {
    if (this.isAbandoned && socket === this.near) return;
    const flow = this.flows.find(({ from }) => from === socket)!;
    flow.hasEnded = true;
    const other = socket === this.near ? this.far : this.near;
    // An end is no faster than the data before it, and does not get over a held path.
    if (other.destroyed) this.end();
    else if (this.state.isHeld || flow.waiting.length > 0) this.pass(flow);
    else if (other.connecting) other.destroy();
    else other.end();
  }

  private end(): void {
    if (this.isOver) return;
    this.isOver = true;
    for (const { timer } of this.flows) clearTimeout(timer);
    this.near.destroy();
    this.far.destroy();
    this.onOver();
  }
}
