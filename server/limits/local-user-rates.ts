import { SlidingWindow } from '../primitives/sliding-window.js';
import { rateSlotMs, rateSlots, type Grant, type UserRateStore } from './user-rate-store.js';

/** Empty windows are deleted each time the number of windows has grown by this much. */
const sweepAfter = 1000;

/** The windows of users on one replica: used when the replica runs alone, and while Redis is unreachable. */
export class LocalUserRates implements UserRateStore {
  private readonly windows = new Map<string, SlidingWindow>();
  private sweepAt = sweepAfter;

  /** `now` never goes back: `performance.now`. */
  constructor(private readonly dependencies: { readonly now: () => number }) {}

  take(userId: string, ratePerSec: number, want: number): Promise<Grant> {
    const now = this.dependencies.now();
    let window = this.windows.get(userId);
    if (window === undefined) {
      this.sweep(now);
      window = new SlidingWindow(rateSlotMs, rateSlots);
      this.windows.set(userId, window);
    }
    const granted = Math.max(0, Math.min(want, Math.floor(ratePerSec) - window.sum(now)));
    if (granted > 0) window.add(now, granted);
    return Promise.resolve({ granted, retryAfterMs: granted < want ? window.nextFreeMs(now) : 0 });
  }

  private sweep(now: number): void {
    if (this.windows.size < this.sweepAt) return;
    for (const [userId, window] of this.windows) if (window.sum(now) === 0) this.windows.delete(userId);
    this.sweepAt = this.windows.size + sweepAfter;
  }
}
