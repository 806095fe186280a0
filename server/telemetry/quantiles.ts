/** Buckets per factor of two: a quantile is at most 9 % off. */
const perDoubling = 8;
const smallestMs = 0.05;
const buckets = 20 * perDoubling;

/** The durations of the last minute or two, for quantiles: observing is one addition, whatever the load. */
export class Quantiles {
  private current = new Uint32Array(buckets);
  private previous = new Uint32Array(buckets);
  private turnedAtMs = performance.now();
  count = 0;
  sumMs = 0;

  observe(ms: number): void {
    this.count++;
    this.sumMs += ms;
    const bucket =
      ms <= smallestMs ? 0 : Math.min(buckets - 1, Math.ceil(Math.log2(ms / smallestMs) * perDoubling));
    this.current[bucket]!++;
  }

  /** Upper bound of the duration below which this share (0 to 1) lies, in milliseconds; 0 when there is none. */
  quantile(share: number): number {
    this.turn();
    let total = 0;
    for (let i = 0; i < buckets; i++) total += this.current[i]! + this.previous[i]!;
    let rest = total * share;
    for (let i = 0; i < buckets && total > 0; i++) {
      rest -= this.current[i]! + this.previous[i]!;
      if (rest <= 0) return Number((smallestMs * 2 ** (i / perDoubling)).toFixed(3));
    }
    return 0;
  }

  summary(): { p50: number; p95: number; p99: number; count: number } {
    return { p50: this.quantile(0.5), p95: this.quantile(0.95), p99: this.quantile(0.99), count: this.count };
  }

  private turn(): void {
    const nowMs = performance.now();
    if (nowMs - this.turnedAtMs < 60_000) return;
    this.turnedAtMs = nowMs;
    this.previous = this.current;
    this.current = new Uint32Array(buckets);
  }
}
