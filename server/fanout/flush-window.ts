import type { FlushShare } from './flush-share.js';

export interface FlushWindowSettings {
  /** Minimum time in which a busy topic collects messages, in milliseconds. */
  readonly windowMs: number;
  /** Maximum of that time, in milliseconds. */
  readonly maxWindowMs: number;
}

/**
 * A topic whose flushes carry several messages gathers for so many times what a flush costs, even if the event loop has room: the next
 * milliseconds of latency would cost more processor time than all those before.
 */
const gatherPerCost = 2.5;

/** Publishes of a topic gather for this part of its window at most, before they are appended. */
const gatherShare = 0.25;

/**
 * Computes when a topic's collected messages are written. A quiet topic flushes at the end of the turn. A
 * busy one flushes once per window: the time in which a flush (a write per connection) takes no more of the
 * event loop than the share of the topic.
 */
export class FlushWindow {
  private lastFlushAt = -Infinity;
  private costMs = 0;
  /** Messages of a flush, on average. */
  private messages = 1;

  constructor(
    private readonly share: Pick<FlushShare, 'current'>,
    private readonly settings: FlushWindowSettings,
  ) {}

  /** Milliseconds between two flushes of this topic while it is busy. */
  get currentMs(): number {
    const { windowMs, maxWindowMs } = this.settings;
    // None where each message has a flush of its own.
    const gatherMs = this.costMs * gatherPerCost * (1 - 1 / this.messages);
    return Math.min(maxWindowMs, Math.max(windowMs, this.costMs / this.share.current, gatherMs));
  }

  /** Milliseconds to wait before the next flush; 0: flush at the end of this turn. */
  delayMs(now: number): number {
    return Math.max(0, this.lastFlushAt + this.currentMs - now);
  }

  /**
   * When publishes that arrive now should be appended, on the monotonic clock; 0: at once. They would wait for the
   * next flush anyway, so they gather, and come just in time for it.
   *
   * @param leadMs time from the start of an append until its messages are here
   */
  appendAt(now: number, leadMs: number): number {
    const { currentMs } = this;
    if (currentMs <= this.settings.windowMs) return 0;
    const lastAt = this.lastFlushAt + currentMs - leadMs;
    const leftMs = lastAt - now;
    return leftMs <= 0
      ? 0
      : lastAt - Math.floor(leftMs / (currentMs * gatherShare)) * currentMs * gatherShare;
  }

  flushed(startedAt: number, endedAt: number, messages = 1): void {
    this.messages += 0.3 * (messages - this.messages);
    this.costMs += 0.3 * (endedAt - startedAt - this.costMs);
    this.lastFlushAt = startedAt;
  }

  /** Writes that were staged by the last flush have taken this long. */
  wrote(ms: number): void {
    this.costMs += 0.3 * ms;
  }
}
