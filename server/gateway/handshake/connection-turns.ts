import { CallerTurns } from '../../primitives/caller-turns.js';
import type { Clock } from '../../primitives/clock.js';

/**
 * While connections keep coming, accepting them gets three quarters of the time: after a turn in which one was begun,
 * connections are only accepted for so many times its length, or for this long, in milliseconds.
 */
const acceptingFactor = 3;
const longestPauseMs = 12;
/** If more wait, one is begun in each turn. */
const waitingLimit = 2000;
/** Connections begun in a turn in which none came. */
const begunPerTurn = 4;
/**
 * If some have waited for so long without a break, in milliseconds, they do not come in a burst, but faster than they are begun: then several are
 * begun at a time, and accepting gets half of the time. Others may wait to be accepted behind thousands.
 */
const burstMs = 250;
const begunWhenLate = 3;
const lateFactor = 1;
/**
 * Requests wait no longer than this for a turn of theirs, in milliseconds: where one connection is begun in each turn, each begins a pause, and they
 * would wait until no more come.
 */
const requestsWaitMs = 50;
/** Where a turn in which connections are only accepted takes longer, other work takes the time: to go on accepting gains little. */
const longTurnMs = 2;
/**
 * If more of one caller wait, the newest and the oldest are begun in turn. Older ones have often been given up, so that
 * in their order alone nobody would be served in time; the newest alone would let a few wait until no more come.
 */
const inOrder = 64;

interface ConnectionTurnsDependencies {
  readonly clock: Pick<Clock, 'now' | 'setImmediate'>;
}

/**
 * When new connections are read. Node accepts one connection in each turn of the event loop, in the order in which they were made. If each was
 * read at once, a client that connects over and over, and lets each connection cost some milliseconds, would keep all others
 * waiting to be accepted. So a burst of connections is accepted first, as long as they come turn after turn, and then read. Those of several
 * callers take turns.
 */
export class ConnectionTurns {
  private readonly waiting = new CallerTurns<() => void>();
  private isBegun = false;
  /** A connection came in this turn; in the turn before. */
  private hasCome = false;
  private hadCome = false;
  /** When the last one was begun, while it has not been read yet: that happens in the next turn. */
  private begunAt: number | undefined;
  /** Since when some wait. */
  private waitingSince = Infinity;
  private resumeAt = -Infinity;
  /** Requests ran in this turn. */
  private hasServed = false;
  /** Until when connections are only accepted, and no requests run. */
  private serveAt = -Infinity;
  /** When requests ran last, or connections began to come turn after turn. */
  private requestsWaitSince = -Infinity;
  /** Some have waited for longer than a burst lasts. */
  private isLate = false;
  /** Where very many of a caller wait, the next one is the newest. */
  private isNewestNext = true;
  /** When the turn before ended. */
  private endedAt = 0;

  constructor(private readonly dependencies: ConnectionTurnsDependencies) {}

  /** Connections come turn after turn, or wait. Other work should leave turns short meanwhile: each accepts one. */
  get isPressed(): boolean {
    return this.waiting.size > 0 || this.hadCome;
  }

  /** Connections come turn after turn, in a burst, and are only accepted now: other work that can wait should wait. */
  get isAccepting(): boolean {
    return !this.isLate && this.isPressed && this.dependencies.clock.now() < this.resumeAt;
  }

  /** The same for requests, also where connections come without end, or requests have had their half: clients that have joined do not wait then. */
  get isOnlyAccepting(): boolean {
    const now = this.dependencies.clock.now();
    return (
      this.isPressed &&
      now < Math.max(this.resumeAt, this.serveAt) &&
      now - this.requestsWaitSince < requestsWaitMs
    );
  }

  /**
   * Requests run in this turn. Accepting gets as much time as they take: where most connections are closed at once, and none wait to be begun, others would
   * wait behind thousands of them while one is accepted after each few requests.
   */
  served(): void {
    this.hasServed = true;
  }

  /** A new connection was accepted, and may have been closed at once. */
  came(): void {
    this.hasCome = true;
    this.schedule();
  }

  /** Begins to read a new connection now, or in a later turn. */
  run(caller: string, begin: () => void): void {
    const isCalm = this.waiting.size === 0 && !this.hasCome && !this.hadCome;
    this.came();
    if (isCalm) {
      begin();
      return;
    }
    if (this.waiting.size === 0) this.waitingSince = this.dependencies.clock.now();
    this.waiting.push(caller, begin);
  }

  private schedule(): void {
    if (this.isBegun) return;
    this.isBegun = true;
    this.dependencies.clock.setImmediate(this.next);
  }

  private readonly next = (): void => {
    this.isBegun = false;
    const now = this.dependencies.clock.now();
    this.isLate = now - this.waitingSince > burstMs;
    // Nobody waits to be accepted: other work goes on, however many wait to be begun.
    if (!this.hasCome) this.resumeAt = this.serveAt = now;
    else if (this.begunAt !== undefined) {
      const factor = this.isLate ? lateFactor : acceptingFactor;
      this.resumeAt = now + Math.min((now - this.begunAt) * factor, longestPauseMs);
    } else if (this.isLate && now - this.endedAt > longTurnMs) this.resumeAt = now;
    // Whatever the requests have left behind took its time too.
    if (this.hasCome && this.hadCome && this.hasServed)
      this.serveAt = now + Math.min((now - this.endedAt) * lateFactor, longestPauseMs);
    if (this.hasServed || !this.hadCome) this.requestsWaitSince = now;
    this.hasServed = false;
    this.endedAt = now;
    this.begunAt = undefined;
    if (this.hasCome || this.waiting.size > 0) this.schedule();
    const places = this.hasCome ? this.placesBesideAccepting(now) : begunPerTurn;
    this.hadCome = this.hasCome;
    this.hasCome = false;
    for (let begun = 0; begun < places && this.waiting.size > 0; begun++) this.beginNext(now);
  };

  private placesBesideAccepting(now: number): number {
    if (this.waiting.size > waitingLimit) return 1;
    if (now < this.resumeAt) return 0;
    return this.isLate ? begunWhenLate : 1;
  }

  private beginNext(now: number): void {
    const begin = this.waiting.next(this.take);
    if (this.waiting.size === 0) this.waitingSince = Infinity;
    this.begunAt = now;
    begin();
  }

  private readonly take = (own: (() => void)[]): (() => void) => {
    if (own.length <= inOrder) return own.shift()!;
    const begin = this.isNewestNext ? own.pop() : own.shift();
    this.isNewestNext = !this.isNewestNext;
    return begin!;
  };
}
