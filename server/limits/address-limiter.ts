import { ipKeyGenerator } from 'express-rate-limit';
import { RefusalError } from '../../shared/errors.js';
import type { LimitCounts } from './limit-counts.js';
import { TokenBucket } from '../primitives/token-bucket.js';

interface AddressLimiterSettings {
  /** Handshakes per second from one address; 0 for no limit. */
  readonly connectsPerSec: number;
  /** Connections of this replica from one address; 0 for no limit. */
  readonly maxConnections: number;
  /** Connections from one address that have not joined yet; 0 for no limit. */
  readonly maxUnjoined: number;
}

/**
 * Addresses with a bucket at one time. Past this number the address that was idle for longest loses its
 * bucket.
 */
const bucketLimit = 100_000;
/** After this time a bucket is full again, so it need not be kept. */
const fullAfterMs = 1000;
/** All addresses of a /64 of IPv6 usually belong to one customer. */
const ipv6Subnet = 64;

/** Limits the connect rate and the number of connections of one address. */
export class AddressLimiter {
  /** In the order of their last use. */
  private readonly buckets = new Map<string, { readonly bucket: TokenBucket; usedAt: number }>();
  private readonly connections = new Map<string, number>();
  /** Of these, the ones that have not joined yet. */
  private readonly unjoined = new Map<string, number>();

  constructor(
    private readonly dependencies: { readonly counts: LimitCounts; readonly now: () => number },
    private readonly settings: AddressLimiterSettings,
  ) {}

  private get countsConnections(): boolean {
    return this.settings.maxConnections > 0 || this.settings.maxUnjoined > 0;
  }

  /** @throws RefusalError `rate_limited` or `at_capacity` */
  admit(address: string): void {
    const { connectsPerSec, maxConnections, maxUnjoined } = this.settings;
    if (connectsPerSec === 0 && !this.countsConnections) return;
    const key = keyOf(address);
    this.check(this.connections.get(key), maxConnections, 'connections');
    this.check(this.unjoined.get(key), maxUnjoined, 'connections that have not joined yet');
    const retryAfterMs = connectsPerSec === 0 ? 0 : this.takeToken(key);
    if (retryAfterMs === 0) return;
    this.dependencies.counts.address++;
    throw new RefusalError('rate_limited', `more than ${connectsPerSec} connects a second from one address`, {
      retryAfterMs,
      limit: connectsPerSec,
    });
  }

  /** A connection that has not joined yet. */
  connected(address: string): void {
    const key = keyOf(address);
    change(this.connections, key, 1);
    change(this.unjoined, key, 1);
  }

  /** A connection of this address has joined. */
  joined(address: string): void {
    change(this.unjoined, keyOf(address), -1);
  }

  disconnected(address: string, hasJoined: boolean): void {
    const key = keyOf(address);
    change(this.connections, key, -1);
    if (!hasJoined) change(this.unjoined, key, -1);
  }

  private check(held = 0, limit: number, what: string): void {
    if (limit === 0 || held < limit) return;
    this.dependencies.counts.address++;
    throw new RefusalError('at_capacity', `the address holds ${limit} ${what}`, {
      retryAfterMs: 5000,
      limit,
    });
  }

  private takeToken(key: string): number {
    const now = this.dependencies.now();
    const known = this.buckets.get(key) ?? {
      bucket: new TokenBucket(this.settings.connectsPerSec, now),
      usedAt: now,
    };
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

function change(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}

/** Addresses that are counted together have the same key. */
export function keyOf(address: string): string {
  return ipKeyGenerator(address, ipv6Subnet);
}
