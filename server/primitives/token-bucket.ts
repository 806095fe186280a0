/** A token bucket: `ratePerSec` tokens per second on average, and at most those of one second at once. */
export class TokenBucket {
  private tokens: number;
  private filledAt: number;

  constructor(
    private rate: number,
    now: number,
  ) {
    this.tokens = Math.max(1, rate);
    this.filledAt = now;
  }

  get ratePerSec(): number {
    return this.rate;
  }

  /** Changes the rate. The present tokens stay, up to the new maximum. */
  changeRate(ratePerSec: number, now: number): void {
    this.fill(now);
    this.rate = ratePerSec;
    this.tokens = Math.min(Math.max(1, ratePerSec), this.tokens);
  }

  /**
   * Takes a token, in advance if there is none. Returns the milliseconds until it is available. If that is
   * longer than `limitMs`, takes none and returns `undefined`.
   */
  reserve(now: number, limitMs: number): number | undefined {
    this.fill(now);
    const waitMs = this.tokens >= 1 ? 0 : Math.ceil(((1 - this.tokens) / this.rate) * 1000);
    if (waitMs > limitMs) return undefined;
    this.tokens -= 1;
    return waitMs;
  }

  /**
   * Takes tokens. Returns 0, or the milliseconds until there are enough. More than the bucket can hold are
   * given by a full bucket, and owed.
   */
  take(now: number, count = 1): number {
    this.fill(now);
    const needed = Math.min(count, Math.max(1, this.rate));
    if (this.tokens >= needed) {
      this.tokens -= count;
      return 0;
    }
    return Math.ceil(((needed - this.tokens) / this.rate) * 1000);
  }

  /** The milliseconds until there is a token. Takes none. */
  wait(now: number): number {
    this.fill(now);
    return this.tokens >= 1 ? 0 : Math.ceil(((1 - this.tokens) / this.rate) * 1000);
  }

  private fill(now: number): void {
    const earned = ((now - this.filledAt) / 1000) * this.rate;
    this.tokens = Math.min(Math.max(1, this.rate), this.tokens + earned);
    this.filledAt = now;
  }
}
