import type { ClientRateLimitInfo, Options, Store } from 'express-rate-limit';
import type { Clock } from '../primitives/clock.js';

interface Count {
  hits: number;
  /** On the monotonic clock, in milliseconds. */
  readonly endsAt: number;
}

/**
 * Counts the requests of each caller on this replica alone. Windows are measured on the monotonic clock: with the store of
 * express-rate-limit, a wall clock that is set back by hours keeps every window open for as long, and callers are refused all that time.
 */
export class ReplicaRateStore implements Store {
  /** The keys are not shared with other stores. */
  readonly localKeys = true;
  private windowMs = 0;
  /** In the order in which they end. */
  private readonly counts = new Map<string, Count>();

  constructor(private readonly clock: Pick<Clock, 'now' | 'wallTime'>) {}

  init({ windowMs }: Pick<Options, 'windowMs'>): void {
    this.windowMs = windowMs;
  }

  increment(key: string): ClientRateLimitInfo {
    const now = this.clock.now();
    this.forget(now);
    let count = this.counts.get(key);
    if (count === undefined) this.counts.set(key, (count = { hits: 0, endsAt: now + this.windowMs }));
    count.hits++;
    return { totalHits: count.hits, resetTime: new Date(this.clock.wallTime() + count.endsAt - now) };
  }

  decrement(key: string): void {
    const count = this.counts.get(key);
    if (count !== undefined && count.hits > 0) count.hits--;
  }

  resetKey(key: string): void {
    this.counts.delete(key);
  }

  /** All windows have the same length, so the oldest end first. */
  private forget(now: number): void {
    for (const [key, { endsAt }] of this.counts) {
      if (endsAt > now) return;
      this.counts.delete(key);
    }
  }
}
