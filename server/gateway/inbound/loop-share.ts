import type { Clock } from '../../primitives/clock.js';
import { afterDispatch } from '../engine-internals/packet-tap.js';

/**
 * Time of one turn of the event loop after which busy transports wait for the next turn, in milliseconds. It is well below the 50 ms after
 * which people notice a delay, because a request takes several turns.
 */
const sliceMs = 4;
/** The same while new connections come turn after turn: one of them is accepted in each turn. */
const pressedSliceMs = 1;
/** One of so many turns may be taken by something long: a request of somebody else takes about as many turns. */
const turnsPerTaken = 4;

/** What {@link LoopShare} depends on. */
export interface LoopShareDependencies {
  readonly clock: Clock;
  readonly connections: {
    /** Whether new connections come turn after turn. */
    readonly isPressed: boolean;
    /** Whether they are only accepted now: busy transports wait. */
    readonly isAccepting: boolean;
  };
}

/**
 * Divides the event loop between busy transports. One that has read many packets asks here whether the turn is
 * used up; then it stops, and goes on in a later turn, behind those that stopped before it. Quiet ones do not wait behind busy ones.
 */
export class LoopShare {
  /** Number of the present turn. */
  turn = 0;
  private startedAt: number | undefined;
  private readonly busy: (() => void)[] = [];
  private readonly quiet: (() => void)[] = [];
  private isQuietNext = true;
  private takenTurn = -Infinity;

  constructor(private readonly dependencies: LoopShareDependencies) {}

  /** Whether the transports that ask have used up this turn. */
  isUsedUp(): boolean {
    const { clock, connections } = this.dependencies;
    const now = clock.now();
    const usedMs = this.startedAt === undefined ? 0 : now - this.startedAt;
    if (this.startedAt === undefined) this.begin(now);
    if (connections.isPressed) return connections.isAccepting || usedMs > pressedSliceMs;
    return usedMs > sliceMs;
  }

  /** Takes the present turn for something that may take longer than a slice. False if this turn, or one just before it, was taken. */
  takeTurn(): boolean {
    if (this.turn - this.takenTurn < turnsPerTaken) return false;
    this.takenTurn = this.turn;
    if (this.startedAt === undefined) this.begin(this.dependencies.clock.now());
    return true;
  }

  /** Runs something that reads packets, in a later turn. `isQuiet`: of a transport that has used little in many turns. */
  defer(run: () => void, isQuiet = false): void {
    (isQuiet ? this.quiet : this.busy).push(run);
    if (this.startedAt === undefined) this.begin(this.dependencies.clock.now());
  }

  private begin(now: number): void {
    this.startedAt = now;
    this.dependencies.clock.setImmediate(this.next);
  }

  private readonly next = (): void => {
    this.turn++;
    this.startedAt = undefined;
    const { waiting } = this;
    if (waiting === 0) return;
    this.begin(this.dependencies.clock.now());
    if (!this.dependencies.connections.isAccepting) this.runWaiting(waiting);
  };

  private get waiting(): number {
    return this.busy.length + this.quiet.length;
  }

  /** Runs up to `count` of those that wait, at least one, while the turn is not used up. */
  private runWaiting(count: number): void {
    this.takeNext()();
    if (count === 1) return;
    // Socket.IO dispatches what was read some ticks later. Only then the time is known that it took.
    afterDispatch(() => {
      if (this.waiting > 0 && !this.isUsedUp()) this.runWaiting(count - 1);
    });
  }

  /** Quiet and busy ones in turn: many quiet ones must not keep a busy one waiting for ever. */
  private takeNext(): () => void {
    const [first, second] = this.isQuietNext ? [this.quiet, this.busy] : [this.busy, this.quiet];
    this.isQuietNext = !this.isQuietNext;
    return (first.shift() ?? second.shift())!;
  }
}
