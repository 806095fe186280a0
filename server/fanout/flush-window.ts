export interface FlushWindowSettings {
  /** Minimum time in which a busy topic collects messages, in milliseconds. */
  readonly windowMs: number;
  /** Maximum of that time, in milliseconds. */
  readonly maxWindowMs: number;
}

/**
 * The time between flushes is the cost of a flush times one of these factors: from `few`, where a flush has
 * few messages and waiting gains little, to `many`, where each saved write serves many.
 */
const lingerPerCost = { few: 2, many: 24 } as const;

/**
 * Computes when a topic's collected messages are written. A quiet topic flushes at the end of the turn. A
 * busy one flushes once per window, which grows with the cost of a flush (a write per connection). So a topic
 * with many subscribers spends a bounded share of the processor on system calls.
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
