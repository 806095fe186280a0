import { RefusalError } from '../../shared/errors.js';
import type { Log } from '../logging/log.js';
import { withTimeout } from '../primitives/with-timeout.js';
import type { LimitCounts } from './limit-counts.js';
import type { Grant, UserRateStore } from './user-rate-store.js';

interface UserLimiterDependencies {
  readonly store: UserRateStore;
  /** Decides while the store is unreachable. */
  readonly local: UserRateStore;
  readonly counts: LimitCounts;
  readonly log: Log;
  /** Never goes back: `performance.now`. */
  readonly now: () => number;
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: RefusalError) => void;
}

/** The current grant of one user on this replica. */
interface Allowance {
  ratePerSec: number;
  /** Commands that may still run without a request to the store, until `grantedUntil`. */
  granted: number;
  grantedUntil: number;
  /** The store denied more commands until this time, so no request is made before it. */
  deniedUntil: number;
  usedAt: number;
  asking: boolean;
  waiting: Waiting[];
}

/**
 * A grant is a twentieth of the rate. Commands that one replica does not use are missing on the others for at
 * most a second.
 */
const grantsPerSec = 20;
const grantValidMs = 1000;
const waitingLimit = 1000;
const storeLimitMs = 500;
const sweepMs = 5000;
const idleMs = 2000;

/**
 * Limits the commands of each user over all replicas. A replica takes small grants from a shared window and
 * spends them without a request. A denial is kept until it ends, so that a flood costs no round trips.
 * Commands that arrive during a request wait, in order.
 */
export class UserLimiter {
  private readonly allowances = new Map<string, Allowance>();
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly dependencies: UserLimiterDependencies) {
    this.timer = setInterval(() => this.sweep(), sweepMs);
    this.timer.unref();
  }

  /**
   * Admits a command: at once, or when the promise resolves.
   *
   * @throws RefusalError `rate_limited`, or rejects with it
   */
  admit(userId: string, ratePerSec: number): void | Promise<void> {
    const now = this.dependencies.now();
    const allowance = this.allowanceOf(userId, ratePerSec);
    allowance.usedAt = now;
    if (allowance.waiting.length === 0) {
      if (allowance.granted > 0 && now < allowance.grantedUntil) {
        allowance.granted--;
        return undefined;
      }
      if (now < allowance.deniedUntil) throw refusal(allowance, now);
    }
    if (allowance.waiting.length >= waitingLimit) throw refusal(allowance, now);
    return new Promise((resolve, reject) => {
      allowance.waiting.push({ resolve, reject });
      if (!allowance.asking) void this.ask(userId, allowance);
    });
  }

  close(): void {
    clearInterval(this.timer);
  }

  private allowanceOf(userId: string, ratePerSec: number): Allowance {
    const known = this.allowances.get(userId);
    if (known?.ratePerSec === ratePerSec) return known;
    if (known !== undefined) {
      // Grants and denials of the old rate do not apply to the new one.
      known.ratePerSec = ratePerSec;
      known.granted = 0;
      known.deniedUntil = 0;
      return known;
    }
    const allowance: Allowance = {
      ratePerSec,
      granted: 0,
      grantedUntil: 0,
      deniedUntil: 0,
      usedAt: 0,
      asking: false,
      waiting: [],
    };
    this.allowances.set(userId, allowance);
    return allowance;
  }

  /** Requests grants until no command waits. Never rejects. */
  private async ask(userId: string, allowance: Allowance): Promise<void> {
    allowance.asking = true;
    while (allowance.waiting.length > 0) {
      const { ratePerSec } = allowance;
      const grant = Math.ceil(ratePerSec / grantsPerSec);
      const want = Math.max(1, Math.min(ratePerSec, Math.max(grant, allowance.waiting.length)));
      const { granted, retryAfterMs } = await this.take(userId, ratePerSec, want);
      const now = this.dependencies.now();
      const admitted = allowance.waiting.splice(0, granted);
      allowance.granted = granted - admitted.length;
      allowance.grantedUntil = now + grantValidMs;
      for (const { resolve } of admitted) resolve();
      if (granted >= want || allowance.ratePerSec !== ratePerSec) continue;
      allowance.deniedUntil = now + Math.max(1, retryAfterMs);
      for (const { reject } of allowance.waiting.splice(0)) reject(refusal(allowance, now));
    }
    allowance.asking = false;
  }

  private async take(userId: string, ratePerSec: number, want: number): Promise<Grant> {
    const { store, local, counts, log } = this.dependencies;
    counts.refills++;
    try {
      return await withTimeout(store.take(userId, ratePerSec, want), storeLimitMs);
    } catch (error) {
      counts.localFallbacks++;
      log.debug('Store unreachable: rate of the user is counted on this replica only', {
        user_id: userId,
        error,
      });
      return local.take(userId, ratePerSec, want);
    }
  }

  private sweep(): void {
    const now = this.dependencies.now();
    for (const [userId, { usedAt, asking }] of this.allowances)
      if (!asking && now - usedAt > idleMs) this.allowances.delete(userId);
  }
}

function refusal({ ratePerSec, deniedUntil }: Allowance, now: number): RefusalError {
  return new RefusalError('rate_limited', `the user sends more than ${ratePerSec} commands a second`, {
    retryAfterMs: Math.max(1, Math.ceil(deniedUntil - now)),
    limit: ratePerSec,
  });
}
