import { ipKeyGenerator } from 'express-rate-limit';
import { RefusalError } from '../../shared/errors.js';
import type { LimitCounts } from './limit-counts.js';
import { AddressRate } from './address-rate.js';

interface AddressLimiterSettings {
  /** Handshakes per second from one address; 0 for no limit. */
  readonly connectsPerSec: number;
  /** Connections of this replica from one address; 0 for no limit. */
  readonly maxConnections: number;
  /** Connections from one address that have not joined yet; 0 for no limit. */
  readonly maxUnjoined: number;
}

/** All addresses of a /64 of IPv6 usually belong to one customer. */
const ipv6Subnet = 64;

/** Limits the connect rate and the number of connections of one address. */
export class AddressLimiter {
  private readonly rate: AddressRate;
  private readonly connections = new Map<string, number>();
  /** Of these, the ones that have not joined yet. */
  private readonly unjoined = new Map<string, number>();

  constructor(
    private readonly dependencies: { readonly counts: LimitCounts; readonly now: () => number },
    private readonly settings: AddressLimiterSettings,
  ) {
    this.rate = new AddressRate(dependencies, { ratePerSec: settings.connectsPerSec });
  }

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
    const retryAfterMs = this.rate.take(key);
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
}

function change(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}

/** Who sends requests and is not known otherwise: see {@link keyOf}. */
export function addressCaller(address: string): string {
  return `address:${keyOf(address)}`;
}

/** Addresses that are counted together have the same key. */
export function keyOf(address: string): string {
  return ipKeyGenerator(address, ipv6Subnet);
}
