import { Registry } from '../primitives/registry.js';
import { TokenBucket } from '../primitives/token-bucket.js';

/**
 * Addresses with a bucket at one time. Past this number the address that was idle for longest loses its
 * bucket.
 */
const bucketLimit = 100_000;
/** After this time a bucket is full again, so it need not be kept. */
const fullAfterMs = 1000;

interface AddressBucket {
  readonly key: string;
  readonly bucket: TokenBucket;
  usedAt: number;
}

/** A rate that each address has for itself. */
export class AddressRate {
  private readonly buckets = new Map<string, AddressBucket>();
  /** In the order of their last use. */
  private readonly order = new Registry<AddressBucket>();

  constructor(
    private readonly dependencies: { readonly now: () => number },
    /** Per second; 0 for no limit. */
    private readonly settings: { readonly ratePerSec: number },
  ) {}

  /** Takes one. Returns 0, or the milliseconds until there is one. */
  take(key: string): number {
    if (this.settings.ratePerSec === 0) return 0;
    const now = this.dependencies.now();
    const known = this.buckets.get(key) ?? this.add(key, now);
    known.usedAt = now;
    this.order.delete(known);
    this.order.add(known);
    for (const oldest of this.order) {
      if (now - oldest.usedAt <= fullAfterMs && this.buckets.size <= bucketLimit) break;
      this.order.delete(oldest);
      this.buckets.delete(oldest.key);
    }
    return known.bucket.take(now);
  }

  private add(key: string, now: number): AddressBucket {
    const added = { key, bucket: new TokenBucket(this.settings.ratePerSec, now), usedAt: now };
    this.buckets.set(key, added);
    return added;
  }
}
