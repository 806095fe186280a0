import { RefusalError } from '../../shared/errors.js';
import type { Connection } from '../protocol/connection.js';
import type { LimitCounts } from './limit-counts.js';
import { SlidingWindow } from '../primitives/sliding-window.js';
import { TokenBucket } from '../primitives/token-bucket.js';
import type { UserLimiter } from './user-limiter.js';

/** Commands per second; 0 for no limit. */
export interface CommandRates {
  readonly connectionRps: number;
  readonly userRps: number;
}

interface CommandLimiterDependencies {
  /** Called for each command: operators change the rates at run time. */
  readonly rates: () => CommandRates;
  /** The rate of one user, if an operator has limited it; instead of `userRps`. */
  readonly userRate?: ((userId: string) => number | undefined) | undefined;
  readonly users: UserLimiter;
  readonly counts: LimitCounts;
  /** Never goes back: `performance.now`. */
  readonly now: () => number;
}

interface CommandLimiterSettings {
  /**
   * A connection refused as `rate_limited` more often than this within ten seconds is closed; 0 for never.
   */
  readonly abuseRefusals: number;
}

/**
 * Limits the commands of each connection and of each user, and closes connections that continue after many
 * refusals.
 */
export class CommandLimiter {
  private readonly buckets = new WeakMap<Connection, TokenBucket>();
  private readonly refusals = new WeakMap<Connection, SlidingWindow>();
  /** Connections closed for abuse. Commands that they sent before the close may still arrive. */
  private readonly abusers = new WeakSet<Connection>();

  constructor(
    private readonly dependencies: CommandLimiterDependencies,
    private readonly settings: CommandLimiterSettings,
  ) {}

  /**
   * Admits a command: at once, or when the promise resolves. An HTTP caller has no connection, so each of its
   * requests starts with a full bucket; the rate of its user applies as well.
   *
   * @throws RefusalError `rate_limited`, or rejects with it
   */
  admit(connection: Connection): void | Promise<void> {
    const { rates, userRate } = this.dependencies;
    const { connectionRps, userRps: generalRps } = rates();
    const userRps = userRate?.(connection.identity.userId) ?? generalRps;
    if (connectionRps === 0 && userRps === 0) return undefined;
    if (this.abusers.has(connection)) throw this.abuse();
    if (connectionRps > 0) this.admitOnConnection(connection, connectionRps);
    if (userRps === 0) return undefined;
    try {
      return this.dependencies.users
        .admit(connection.identity.userId, userRps)
        ?.catch((error: unknown) => this.refusedForUser(connection, error));
    } catch (error) {
      return this.refusedForUser(connection, error);
    }
  }

  private admitOnConnection(connection: Connection, ratePerSec: number): void {
    const now = this.dependencies.now();
    let bucket = this.buckets.get(connection);
    if (bucket === undefined) {
      bucket = new TokenBucket(ratePerSec, now);
      this.buckets.set(connection, bucket);
    } else if (bucket.ratePerSec !== ratePerSec) bucket.changeRate(ratePerSec, now);
    const retryAfterMs = bucket.take(now);
    if (retryAfterMs === 0) return;
    this.dependencies.counts.connection++;
    this.noteRefusal(connection);
    throw new RefusalError('rate_limited', `more than ${ratePerSec} commands a second`, {
      retryAfterMs,
      limit: ratePerSec,
    });
  }

  private refusedForUser(connection: Connection, error: unknown): never {
    if (error instanceof RefusalError) {
      this.dependencies.counts.user++;
      this.noteRefusal(connection);
    }
    throw error;
  }

  private noteRefusal(connection: Connection): void {
    const { abuseRefusals } = this.settings;
    if (abuseRefusals === 0 || this.abusers.has(connection)) return;
    const now = this.dependencies.now();
    let window = this.refusals.get(connection);
    if (window === undefined) {
      window = new SlidingWindow(1000, 10);
      this.refusals.set(connection, window);
    }
    window.add(now, 1);
    if (window.sum(now) <= abuseRefusals) return;
    this.abusers.add(connection);
    this.dependencies.counts.abuseDisconnects++;
    connection.disconnect(this.abuse());
  }

  private abuse(): RefusalError {
    const { abuseRefusals } = this.settings;
    return new RefusalError(
      'rate_limited',
      `more than ${abuseRefusals} commands were refused within ten seconds`,
      {
        retryAfterMs: 10_000,
        limit: abuseRefusals,
      },
    );
  }
}
