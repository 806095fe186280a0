import type { LatencySummary } from './metrics-document.js';

/** Buckets per factor of two: a quantile is at most 9 % off. */
const perDoubling = 8;
const smallestMs = 0.05;
const buckets = 20 * perDoubling;

/** Each set of buckets is filled for this long. Quantiles use the current set and the one before. */
const periodMs = 60_000;

/**
 * Quantiles of the durations of the last one to two minutes. To record one is a single addition, under any
 * load.
 */
export class Quantiles {
  private current = new Uint32Array(buckets);
  private previous = new Uint32Array(buckets);
  private turnedAt: number;
  /** Number of all durations since the start. */
  count = 0;

  constructor(private readonly now: () => number = () => performance.now()) {
    this.turnedAt = now();
  }

  observe(ms: number): void {
    this.count++;
    this.turn();
    const bucket =
      ms <= smallestMs ? 0 : Math.min(buckets - 1, Math.ceil(Math.log2(ms / smallestMs) * perDoubling));
    this.current[bucket]!++;
  }

  /** Upper bound of the quantile (0 to 1), in milliseconds; 0 without durations. */
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

  summary(): LatencySummary {
    return { p50: this.quantile(0.5), p95: this.quantile(0.95), p99: this.quantile(0.99), count: this.count };
  }

  private turn(): void {
    const ageMs = this.now() - this.turnedAt;
    if (ageMs < periodMs) return;
    this.turnedAt += ageMs;
    this.previous = ageMs < 2 * periodMs ? this.current : new Uint32Array(buckets);
    this.current = new Uint32Array(buckets);
  }
}
