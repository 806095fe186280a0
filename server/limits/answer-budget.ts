import { RefusalError } from '../../shared/errors.js';
import type { Log } from '../logging/log.js';
import type { Clock, Immediate, Timer } from '../primitives/clock.js';
import { Registry } from '../primitives/registry.js';

interface AnswerBudgetSettings {
  /** Bytes of all answers under way. */
  readonly totalBytes: number;
}

/** One user may have this share of the budget. */
const userShare = 1 / 4;
/** A request waits this long for room, in milliseconds. */
const waitLimitMs = 5000;
/** Most requests that may wait. */
const waitingLimit = 10_000;
/** Past it, one request of each of so many users. */
const furtherUsers = 1000;
/** While requests wait for room, an answer that its client has not read for this long is given up, in milliseconds. */
const unreadLimitMs = 10_000;
const sweepMs = 250;
/** The operator is reminded this often, in milliseconds. */
const warnEveryMs = 60_000;

interface WaitingRequest {
  readonly userId: string;
  readonly bytes: number;
  readonly deadline: number;
  readonly resolve: (hold: AnswerHold) => void;
  readonly reject: (error: RefusalError) => void;
}

/** Bytes that one answer takes of the budget, from before it is read until its client has taken it. */
export class AnswerHold {
  private released = false;
  private abort: (() => void) | undefined;
  private writtenAt = Infinity;

  constructor(
    private readonly budget: AnswerBudget,
    readonly userId: string,
    private held: number,
  ) {}

  get bytes(): number {
    return this.held;
  }

  /**
   * The answer has been written, and waits for its client. `abort` closes the connection of a client that
   * does not read: called only while others wait for room.
   */
  written(bytes: number, abort: () => void): void {
    if (this.released) return;
    this.abort = abort;
    this.writtenAt = this.budget.now();
    // Never more than was reserved: another one relies on the rest.
    const less = this.held - Math.min(bytes, this.held);
    this.held -= less;
    this.budget.returned(this, less);
  }

  /** The client has taken the answer, or is gone. */
  release(): void {
    if (this.released) return;
    this.released = true;
    const { held } = this;
    this.held = 0;
    this.budget.returned(this, held);
  }

  /** Whether the answer was written before that time and its client has not taken it. */
  isUnreadSince(before: number): boolean {
    return !this.released && this.writtenAt <= before;
  }

  /** Aborts an answer that was written. */
  giveUp(): void {
    this.abort?.();
    this.release();
  }

  get isReleased(): boolean {
    return this.released;
  }
}

/**
 * Bounds the bytes of all answers under way in this process: `history`, `missed`, `presence`, and the lists of
 * `/admin`. A request reserves a page before anything is read, waits for a while if there is no room, and is
 * then refused with `busy`.
 */
export class AnswerBudget {
  /** Requests refused because there was no room. */
  refused = 0;
  /** Answers given up because their clients did not read them. */
  aborted = 0;
  private usedBytes = 0;
  private readonly usedBy = new Map<string, number>();
  /** Oldest first. */
  private readonly holds = new Registry<AnswerHold>();
  /** Oldest first. */
  private readonly waiting: WaitingRequest[] = [];
  /** When users were given room last, as a count, since some wait. */
  private readonly servedAt = new Map<string, number>();
  private served = 0;
  private timer: Timer | undefined;
  /** A request was granted in this turn of the event loop; the next one is in the next turn. */
  private turn: Immediate | undefined;
  private warnedAt = -Infinity;

  constructor(
    private readonly dependencies: { readonly clock: Clock; readonly log: Log },
    private readonly settings: AnswerBudgetSettings,
  ) {}

  /** Bytes of the answers under way. */
  get bytes(): number {
    return this.usedBytes;
  }

  get counts(): { bytes: number; refused: number; aborted: number } {
    return { bytes: this.usedBytes, refused: this.refused, aborted: this.aborted };
  }

  now(): number {
    return this.dependencies.clock.now();
  }

  /**
   * Reserves bytes at once; undefined: there is no room, others wait, or another answer was begun in this turn
   * of the event loop. To make many large answers in one turn would stall everything else.
   */
  tryAcquire(userId: string, bytes: number): AnswerHold | undefined {
    if (this.turn !== undefined || this.waiting.length > 0 || !this.hasRoom(userId, bytes)) return undefined;
    return this.grant(userId, bytes);
  }

  /**
   * Reserves bytes, when there is room.
   *
   * @throws RefusalError `busy`
   */
  acquire(userId: string, bytes: number): Promise<AnswerHold> {
    const hold = this.tryAcquire(userId, bytes);
    if (hold !== undefined) return Promise.resolve(hold);
    if (!this.mayWait(userId)) return Promise.reject(this.busy());
    this.timer ??= this.dependencies.clock.setInterval(() => this.sweep(), sweepMs);
    const deadline = this.now() + waitLimitMs;
    return new Promise((resolve, reject) => {
      this.waiting.push({ userId, bytes, deadline, resolve, reject });
      this.sweep();
    });
  }

  /** Called by holds. */
  returned(hold: AnswerHold, bytes: number): void {
    this.usedBytes -= bytes;
    const used = (this.usedBy.get(hold.userId) ?? 0) - bytes;
    if (used > 0) this.usedBy.set(hold.userId, used);
    else this.usedBy.delete(hold.userId);
    if (hold.isReleased) this.holds.delete(hold);
    if (this.waiting.length > 0) this.endTurn();
  }

  close(): void {
    this.stopTimer();
    for (const { reject } of this.waiting.splice(0)) reject(this.busy());
  }

  /** Behind those of a few users who have filled the room, one request of each other user may wait. */
  private mayWait(userId: string): boolean {
    const { length } = this.waiting;
    if (length < waitingLimit) return true;
    return length < waitingLimit + furtherUsers && !this.waiting.some((request) => request.userId === userId);
  }

  /** One answer of any size is under way at least, of each user and of all together. */
  private hasRoom(userId: string, bytes: number): boolean {
    const { totalBytes } = this.settings;
    if (this.usedBytes > 0 && this.usedBytes + bytes > totalBytes) return false;
    const used = this.usedBy.get(userId) ?? 0;
    return used === 0 || used + bytes <= totalBytes * userShare;
  }

  /** Whether a request waits because of this answer: there is no room for any, or not for this user. */
  private isInTheWay({ userId }: AnswerHold): boolean {
    const { totalBytes } = this.settings;
    return this.waiting.some(
      (request) => request.userId === userId || this.usedBytes + request.bytes > totalBytes,
    );
  }

  private grant(userId: string, bytes: number): AnswerHold {
    const hold = new AnswerHold(this, userId, bytes);
    this.usedBytes += bytes;
    this.usedBy.set(userId, (this.usedBy.get(userId) ?? 0) + bytes);
    this.holds.add(hold);
    this.endTurn();
    return hold;
  }

  private endTurn(): void {
    this.turn ??= this.dependencies.clock.setImmediate(this.grantNext);
  }

  /** Gives room to the next request that has to wait no longer. Those of users that have used their share do. */
  private readonly grantNext = (): void => {
    this.turn = undefined;
    const next = this.nextIndex();
    if (next < 0) return;
    const [{ userId, bytes, resolve }] = this.waiting.splice(next, 1) as [WaitingRequest];
    if (this.waiting.length === 0) this.stopTimer();
    if (this.waiting.length === 0 || this.servedAt.size > waitingLimit) this.servedAt.clear();
    else this.servedAt.set(userId, ++this.served);
    resolve(this.grant(userId, bytes));
  };

  /** Users take turns: the first request of the one that was served longest ago. */
  private nextIndex(): number {
    let next = -1;
    let least = Infinity;
    for (const [index, { userId, bytes }] of this.waiting.entries()) {
      const at = this.servedAt.get(userId) ?? 0;
      if (at >= least || !this.hasRoom(userId, bytes)) continue;
      if (at === 0) return index;
      [next, least] = [index, at];
    }
    return next;
  }

  private sweep(): void {
    const now = this.now();
    while (this.waiting[0] !== undefined && this.waiting[0].deadline <= now)
      this.waiting.shift()!.reject(this.busy());
    for (const hold of this.holds) {
      if (!hold.isUnreadSince(now - unreadLimitMs)) continue;
      if (this.waiting.some(({ userId, bytes }) => this.hasRoom(userId, bytes))) break;
      if (!this.isInTheWay(hold)) continue;
      hold.giveUp();
      this.aborted++;
    }
    if (this.waiting.length === 0) this.stopTimer();
  }

  private stopTimer(): void {
    this.dependencies.clock.clearTimer(this.timer);
    this.timer = undefined;
  }

  private busy(): RefusalError {
    this.refused++;
    const { log } = this.dependencies;
    const now = this.now();
    if (now - this.warnedAt >= warnEveryMs) {
      this.warnedAt = now;
      log.warn('Answers refused: too many are under way, or their clients do not read them', {
        bytes: this.usedBytes,
        limit: this.settings.totalBytes,
        remedy: 'raise outbox.answer_total_bytes if the process has the memory',
      });
    }
    return new RefusalError('busy', 'too many answers are under way, or are not read by their clients', {
      retryAfterMs: 1000,
      limit: this.settings.totalBytes,
    });
  }
}
