export interface FlushWindowSettings {
  /** A busy topic gathers messages for at least this long. */
  readonly windowMs: number;
  /** Never longer than this. */
  readonly maxWindowMs: number;
}

/**
 * The time between flushes is this many times what a flush costs: from `few`, where a flush carries few messages and waiting gains little, to
 * `many`, where each write saved serves many.
 */
const lingerPerCost = { few: 2, many: 24 } as const;

/**
 * Decides when a topic's gathered messages are written. A quiet topic flushes at the end of the turn. A busy one waits for its window,
 * which grows with what a flush costs (a write per connection), so that a topic with many subscribers spends a bounded share of the
 * processor on system calls.
 */
export class FlushWindow {
  private lastFlushAt = -Infinity;
  private costMs = 0;
  private factor: number = lingerPerCost.few;

  constructor(private readonly settings: FlushWindowSettings) {}

  /** Milliseconds between two flushes of this topic while it is busy. */
  get currentMs(): number {
    const { windowMs, maxWindowMs } = this.settings;
    return Math.min(maxWindowMs, Math.max(windowMs, this.costMs * this.factor));
  }

  /** Milliseconds to wait before the next flush; 0: flush at the end of this turn. */
  delayMs(now: number): number {
    return Math.max(0, this.lastFlushAt + this.currentMs - now);
  }

  flushed(startedAt: number, endedMs: number, messages: number): void {
    this.factor = Math.min(lingerPerCost.many, Math.max(lingerPerCost.few, messages));
    this.costMs += 0.3 * (endedMs - startedAt - this.costMs);
    this.lastFlushAt = startedAt;
  }
}
