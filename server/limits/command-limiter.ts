import { RefusalError } from '../../shared/errors.js';
import type { Connection } from '../transports/connection.js';
import { TokenBucket } from './token-bucket.js';

/** Limits the commands of each connection. */
export class CommandLimiter {
  private readonly buckets = new WeakMap<Connection, TokenBucket>();

  constructor(private readonly settings: { readonly connectionRps: number }) {}

  /** @throws RefusalError `rate_limited` */
  admit(connection: Connection): void {
    const { connectionRps } = this.settings;
    if (connectionRps === 0) return;
    const nowMs = performance.now();
    let bucket = this.buckets.get(connection);
    if (bucket === undefined) {
      bucket = new TokenBucket(connectionRps, nowMs);
      this.buckets.set(connection, bucket);
    }
    const retryAfterMs = bucket.take(nowMs);
    if (retryAfterMs > 0) {
      throw new RefusalError('rate_limited', `more than ${connectionRps} commands a second`, {
        retryAfterMs,
        limit: connectionRps,
      });
    }
  }
}
