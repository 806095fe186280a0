export interface FlushWindowSettings {
  /** A busy topic gathers messages for at least this long. */
  readonly windowMs: number;
  /** Never longer than this. */
  readonly maxWindowMs: number;
}

/** A flush may take this share of the time between flushes: 1 to 3. */
const gatherPerCost = 3;

/**
 * Decides when a topic's gathered messages are written. A quiet topic flushes at the end of the turn. A busy one waits for its window,
 * which grows with what a flush costs (a write per connection), so that a topic with many subscribers spends a bounded share of the
 * processor on system calls.
 */
export class FlushWindow {
  private lastFlushMs = -Infinity;
  private costMs = 0;

  constructor(private readonly settings: FlushWindowSettings) {}

  /** Milliseconds to wait before the next flush; 0: flush at the end of this turn. */
  delayMs(nowMs: number): number {
    const { windowMs, maxWindowMs } = this.settings;
    const window = Math.min(maxWindowMs, Math.max(windowMs, this.costMs * gatherPerCost));
    return Math.max(0, this.lastFlushMs + window - nowMs);
  }

  flushed(startedMs: number, endedMs: number): void {
    this.costMs += 0.3 * (endedMs - startedMs - this.costMs);
    this.lastFlushMs = startedMs;
  }
}
