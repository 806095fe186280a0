import { TokenBucket } from '../primitives/token-bucket.js';

/**
 * Addresses with a bucket at one time. Past this number the address that was idle for longest loses its
 * bucket.
 */
const bucketLimit = 100_000;
/** After this time a bucket is full again, so it need not be kept. */
const fullAfterMs = 1000;

/** A rate that each address has for itself. */
export class AddressRate {
  /** In the order of their last use. */
  private readonly buckets = new Map<string, { readonly bucket: TokenBucket; usedAt: number }>();

  constructor(
    private readonly dependencies: { readonly now: () => number },
    /** Per second; 0 for no limit. */
    private readonly settings: { readonly ratePerSec: number },
  ) {}

  /** Takes one. Returns 0, or the milliseconds until there is one. */
  take(key: string): number {
    const { ratePerSec } = this.settings;
    if (ratePerSec === 0) return 0;
    const now = this.dependencies.now();
    const known = this.buckets.get(key) ?? { bucket: new TokenBucket(ratePerSec, now), usedAt: now };
    known.usedAt = now;
    this.buckets.delete(key);
    this.buckets.set(key, known);
    for (const [oldest, { usedAt }] of this.buckets) {
      if (now - usedAt <= fullAfterMs && this.buckets.size <= bucketLimit) break;
      this.buckets.delete(oldest);
    }
    return known.bucket.take(now);
  }
}
