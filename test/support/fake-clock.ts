import { setImmediate as turnOfNode } from 'node:timers/promises';
import type { Clock, Immediate, Timer } from '../../server/primitives/clock.js';

interface FakeTimer extends Timer {
  readonly run: () => void;
  /** Undefined for a timer that fires once. */
  readonly everyMs: number | undefined;
  dueAt: number;
}

/** With more turns than this at one time, the code under test plans work for ever. */
const turnsMax = 10_000;

/**
 * A clock that a test moves. Timers fire in order of time, equal ones in the order in which they were set.
 * Immediates run in rounds, as in Node, and promises settle in between.
 */
export class FakeClock implements Clock {
  /** How far the wall clock has jumped ahead, in milliseconds. */
  wallAheadMs = 0;
  private readonly timers = new Set<FakeTimer>();
  private immediates = new Map<Immediate, () => void>();

  /** The start is not 0, so that a missing start value is detected. */
  constructor(
    private time = 5_000,
    private readonly epochMs = 1_700_000_000_000,
  ) {}

  now(): number {
    return this.time;
  }

  wallTime(): number {
    return this.epochMs + this.wallAheadMs + Math.floor(this.time);
  }

  setTimeout(run: () => void, delayMs: number): Timer {
    return this.add(run, delayMs, undefined);
  }

  setInterval(run: () => void, everyMs: number): Timer {
    return this.add(run, everyMs, everyMs);
  }

  clearTimer(timer: Timer | undefined): void {
    this.timers.delete(timer as FakeTimer);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.setTimeout(resolve, ms));
  }

  setImmediate(run: () => void): Immediate {
    const immediate = {};
    this.immediates.set(immediate, run);
    return immediate;
  }

  clearImmediate(immediate: Immediate | undefined): void {
    if (immediate !== undefined) this.immediates.delete(immediate);
  }

  /** Number of timers that are set; with 0 nothing keeps the process alive. */
  get pendingTimers(): number {
    return this.timers.size;
  }

  get pendingImmediates(): number {
    return this.immediates.size;
  }

  /** Lets time pass within a turn, as work of the processor does. Nothing fires. */
  work(ms: number): void {
    this.time += ms;
  }

  /**
   * Ends the turn: runs the immediates planned so far, without those that they plan, and lets promises
   * settle.
   */
  async runImmediates(): Promise<void> {
    await turnOfNode();
    const round = this.immediates;
    this.immediates = new Map();
    for (const run of round.values()) run();
    await turnOfNode();
  }

  /** Ends turns until no work is left at this time. */
  async settle(): Promise<void> {
    await turnOfNode();
    for (let turns = 0; this.immediates.size > 0; turns++) {
      if (turns > turnsMax) throw new Error('immediates plan further ones for ever');
      await this.runImmediates();
    }
  }

  /** Moves the time forward, and runs the timers that are due. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms;
    await this.settle();
    for (let next = this.next(end); next !== undefined; next = this.next(end)) {
      this.time = Math.max(this.time, next.dueAt);
      if (next.everyMs === undefined) this.timers.delete(next);
      else next.dueAt += next.everyMs;
      next.run();
      await this.settle();
    }
    this.time = Math.max(this.time, end);
  }

  private next(end: number): FakeTimer | undefined {
    let next: FakeTimer | undefined;
    for (const timer of this.timers) {
      if (timer.dueAt <= end && (next === undefined || timer.dueAt < next.dueAt)) next = timer;
    }
    return next;
  }

  private add(run: () => void, delayMs: number, everyMs: number | undefined): Timer {
    const timer: FakeTimer = {
      run,
      everyMs,
      // In Node a delay is at least one millisecond.
      dueAt: this.time + Math.max(1, delayMs),
      unref: () => timer,
    };
    this.timers.add(timer);
    return timer;
  }
}
