/** A token bucket: `ratePerSec` on average, up to one second's worth at once. */
export class TokenBucket {
  private tokens: number;
  private filledAtMs: number;

  constructor(
    private readonly ratePerSec: number,
    nowMs: number,
  ) {
    this.tokens = Math.max(1, ratePerSec);
    this.filledAtMs = nowMs;
  }

  /** Takes a token. Returns 0, or the milliseconds after which there will be one. */
  take(nowMs: number): number {
    const earned = ((nowMs - this.filledAtMs) / 1000) * this.ratePerSec;
    this.tokens = Math.min(Math.max(1, this.ratePerSec), this.tokens + earned);
    this.filledAtMs = nowMs;
    if (this.tokens >= 1) {
      this.tokens -= 1;
      return 0;
    }
    return Math.ceil(((1 - this.tokens) / this.ratePerSec) * 1000);
  }
}
