import type { Log } from '../logging/log.js';
import type { QuotaUse, UserQuotaStore } from './user-quota-store.js';

interface UserQuotaDependencies {
  /** Undefined: this replica runs alone. */
  readonly store: UserQuotaStore | undefined;
  readonly log: Log;
  /** Never goes back: `performance.now`. */
  readonly now: () => number;
}

interface UserQuotaSettings {
  /** Name of the quota in the store. */
  readonly name: string;
  /** What a user may use in one window; 0: no limit. */
  readonly limit: number;
  readonly windowMs: number;
}

interface Use {
  current: number;
  previous: number;
  /** Begin of the present window, on the clock of this replica. */
  startedAt: number;
  /** Used here, but not added to the store yet; negative if more was given back. */
  unsettled: number;
  /** On its way to the store. */
  settling: number;
  isSettling: boolean;
  /** Of all these, what may still be given back. */
  reserved: number;
}

/** A use is added to the store when it has reached this share of the limit, and regularly. */
const settleShare = 1 / 20;
const settlesPerWindow = 20;
const settleMs = { min: 500, max: 5000 };
/** What is reserved is used or given back within about this time, in milliseconds. */
const reservedMs = 1000;

/**
 * Limits what each user uses of something in a time, over all replicas. The sliding window is estimated from
 * two fixed ones, as Cloudflare's rate limits do: of the one before counts the share that still overlaps. Uses
 * are counted here and added to the store from time to time, so a check costs no request. Until a replica has
 * learned what the others have added, it may admit what they have: about a twentieth of the limit each, or in a
 * burst on all replicas at once the whole limit.
 */
export class UserQuota {
  private readonly uses = new Map<string, Use>();
  private readonly timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly dependencies: UserQuotaDependencies,
    private readonly settings: UserQuotaSettings,
  ) {
    if (!this.isLimited) return;
    const { min, max } = settleMs;
    const everyMs = Math.min(max, Math.max(min, settings.windowMs / settlesPerWindow));
    this.timer = setInterval(() => this.settleAll(), everyMs);
    this.timer.unref();
  }

  get isLimited(): boolean {
    return this.settings.limit > 0;
  }

  get limit(): number {
    return this.settings.limit;
  }

  /** 0 if the user may use this much, or else the milliseconds after which that may be so. */
  waitMs(userId: string, amount: number): number {
    const { limit, windowMs } = this.settings;
    const use = this.uses.get(userId);
    if (use === undefined || !this.isLimited) return 0;
    const now = this.dependencies.now();
    turn(use, now, windowMs);
    const ageMs = now - use.startedAt;
    const own = ownOf(use);
    const used = own + use.previous * (1 - ageMs / windowMs);
    // What is larger than the whole quota is admitted when nothing else was used.
    if (used + amount <= limit || used < 1) return 0;
    if (used - use.reserved + amount <= limit) return reservedMs;
    const leftMs = windowMs - ageMs;
    if (own + amount > limit || use.previous === 0) return Math.max(1, Math.ceil(leftMs));
    return Math.max(1, Math.ceil(((used + amount - limit) / use.previous) * windowMs));
  }

  used(userId: string, amount: number): void {
    if (!this.isLimited) return;
    this.add(userId, this.presentUse(userId), amount);
  }

  /**
   * Counts an amount as used at once, so that it is not admitted twice while its outcome is open. The returned
   * function must be called with the outcome; if it is not used after all, the amount is given back.
   */
  reserve(userId: string, amount: number): (isUsed: boolean) => void {
    if (!this.isLimited) return () => {};
    const use = this.presentUse(userId);
    const { startedAt } = use;
    use.reserved += amount;
    this.add(userId, use, amount);
    return (isUsed) => {
      use.reserved -= amount;
      if (isUsed) return;
      const { windowMs } = this.settings;
      turn(use, this.dependencies.now(), windowMs);
      // What was reserved in a window that is over is not given back to the next one. The begin of a window moves a
      // little when its age is learned from the store.
      if (Math.abs(use.startedAt - startedAt) < windowMs / 2) this.add(userId, use, -amount);
    };
  }

  close(): void {
    clearInterval(this.timer);
  }

  private presentUse(userId: string): Use {
    const now = this.dependencies.now();
    let use = this.uses.get(userId);
    if (use === undefined) {
      use = {
        current: 0,
        previous: 0,
        startedAt: now,
        unsettled: 0,
        settling: 0,
        isSettling: false,
        reserved: 0,
      };
      this.uses.set(userId, use);
    }
    turn(use, now, this.settings.windowMs);
    return use;
  }

  private add(userId: string, use: Use, amount: number): void {
    if (this.dependencies.store === undefined) use.current += amount;
    else {
      use.unsettled += amount;
      if (this.isDue(use)) void this.settle(userId, use);
    }
  }

  private isDue({ unsettled }: Use): boolean {
    return Math.abs(unsettled) >= this.settings.limit * settleShare;
  }

  private settleAll(): void {
    const now = this.dependencies.now();
    const { windowMs } = this.settings;
    for (const [userId, use] of this.uses) {
      if (use.unsettled !== 0) void this.settle(userId, use);
      else if (!use.isSettling && use.reserved === 0 && now - use.startedAt > 2 * windowMs)
        this.uses.delete(userId);
    }
  }

  /** Never rejects. */
  private async settle(userId: string, use: Use): Promise<void> {
    const { store, log, now } = this.dependencies;
    if (use.isSettling || store === undefined) return;
    use.isSettling = true;
    try {
      const { name, windowMs } = this.settings;
      do {
        use.settling = use.unsettled;
        use.unsettled = 0;
        const sum: QuotaUse = await store.add(name, userId, use.settling, windowMs);
        const { current, previous, ageMs } = sum;
        Object.assign(use, { current, previous, startedAt: now() - ageMs, settling: 0 });
      } while (this.isDue(use));
    } catch (error) {
      // It stays unsettled, and counts here.
      use.unsettled += use.settling;
      use.settling = 0;
      log.debug('Quota of a user not settled', { user_id: userId, quota: this.settings.name, error });
    } finally {
      use.isSettling = false;
    }
  }
}

function ownOf({ current, settling, unsettled }: Use): number {
  return current + settling + unsettled;
}

/** Begins the next window if the present one is over. */
function turn(use: Use, now: number, windowMs: number): void {
  const windows = Math.floor((now - use.startedAt) / windowMs);
  if (windows <= 0) return;
  // What could not be settled within its window counts here only, and is over with it.
  use.previous = windows === 1 ? ownOf(use) : 0;
  use.current = 0;
  use.settling = 0;
  use.unsettled = 0;
  use.startedAt += windows * windowMs;
}
