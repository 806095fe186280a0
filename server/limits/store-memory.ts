import { RefusalError } from '../../shared/errors.js';
import type { Log } from '../logging/log.js';
import { MemoryShares } from './memory-shares.js';
import type { QuotaCounts } from './quota-counts.js';

/**
 * What the store still accepts.
 *
 * - `ample`: everything.
 * - `scarce`: each user may add a small share of what is left.
 * - `reserved`: publishes and new topics are refused; sessions, presence and operators' changes are stored.
 * - `exhausted`: sessions are refused too. Operators' changes are stored.
 */
export type MemoryLevel = 'ample' | 'scarce' | 'reserved' | 'exhausted';

/** The memory of the store as it was measured. */
export interface MemoryUse {
  readonly usedBytes: number;
  /** 0: no limit. */
  readonly maxBytes: number;
  /** `maxmemory-policy`: all but `noeviction` delete data instead of refusing writes. */
  readonly policy: string;
}

/** A message, as far as it decides whether it makes the memory of the store grow. */
interface StoredMessage {
  readonly topic: string;
  readonly key?: string | undefined;
}

interface StoreMemoryDependencies {
  /** Starts a measurement, unless one is in progress. */
  readonly measure: () => void;
  /** Messages that are always stored, because they take the memory of older ones; undefined: none. */
  readonly isFree?: (message: StoredMessage) => boolean;
  readonly counts: QuotaCounts;
  readonly log: Log;
}

interface StoreMemorySettings {
  /** Share of the memory, in percent, that publishes never use; 0: publishes may use all of it. */
  readonly reservedPercent: number;
  /** Whose memory it is, for messages: "Redis". */
  readonly of: string;
  /** What an operator can do, for the log. */
  readonly remedy: string;
}

const levels: readonly MemoryLevel[] = ['ample', 'scarce', 'reserved', 'exhausted'];
/** A level ends when this share of the memory is free beyond its line. */
const hysteresis = 0.01;
/** Memory that a message takes beside its content at most: it may be the first one of its topic. */
const messageBytes = 1500;
/** The share of one user in what is left, while memory is scarce. */
const sharePerUser = 1 / 8;
/** A measurement is made after this share of the memory was written. */
const measuredShare = { ample: 1 / 128, else: 1 / 1024 };
const measuredBytesMax = 16 * 1024 * 1024;
const retryAfterMs = 5000;
type Settle = (isStored: boolean) => void;
/** Used bytes from which each level holds. */
type Lines = Readonly<Record<Exclude<MemoryLevel, 'ample'>, number>>;

/**
 * Keeps room in a store with a limit of memory. The store itself would refuse the writes of everybody as soon
 * as one user has filled it, those of operators too. Between two measurements it is estimated from what this
 * replica writes.
 */
export class StoreMemory {
  private use: MemoryUse = { usedBytes: 0, maxBytes: 0, policy: '' };
  private line: Lines = { scarce: 0, reserved: 0, exhausted: 0 };
  private current: MemoryLevel = 'ample';
  private readonly shares = new MemoryShares();
  /** Admitted, but not answered by the store yet. */
  private waitingBytes = 0;
  /** Stored since the last measurement began. */
  private storedBytes = 0;
  private storedBefore = 0;
  private warnedPolicy = '';

  constructor(
    private readonly dependencies: StoreMemoryDependencies,
    private readonly settings: StoreMemorySettings,
  ) {}

  /** As it was measured last. */
  get level(): MemoryLevel {
    return this.current;
  }

  /** For `/health` and `/metrics`. */
  get state(): {
    readonly level: MemoryLevel;
    readonly used_bytes: number;
    readonly max_bytes: number;
    readonly policy: string;
  } {
    const { usedBytes, maxBytes, policy } = this.use;
    return { level: this.current, used_bytes: usedBytes, max_bytes: maxBytes, policy };
  }

  /** Whether there is a limit that makes the store refuse writes. */
  get isBounded(): boolean {
    return this.use.maxBytes > 0 && this.use.policy === 'noeviction' && this.settings.reservedPercent > 0;
  }

  /** Whether a message has to be admitted before it is stored. */
  concerns(message: StoredMessage): boolean {
    return this.isBounded && this.dependencies.isFree?.(message) !== true;
  }

  /**
   * Admits a message of a user. The returned function must be called when the store has answered.
   *
   * @throws RefusalError `quota_exceeded` if the user has used up the share, `unavailable` if the rest is reserved
   */
  admit(userId: string, bytes: number): Settle | undefined {
    if (!this.isBounded) return undefined;
    const weight = bytes + messageBytes;
    const isScarce = this.check(userId, weight);
    this.waitingBytes += weight;
    if (isScarce) this.shares.admitted(userId, weight);
    return (isStored) => {
      this.waitingBytes -= weight;
      if (isScarce) this.shares.settled(userId, weight, isStored);
      if (isStored) this.stored(weight);
    };
  }

  /** Whether a log that does not exist may be created in order to read it. */
  get mayCreate(): boolean {
    return this.current === 'ample' || this.current === 'scarce';
  }

  /** The refusal of a write that is not an operator's. */
  refusal(): RefusalError {
    this.dependencies.counts.memoryReserved++;
    return new RefusalError('unavailable', `the memory of ${this.settings.of} is full: nothing was stored`, {
      retryAfterMs,
    });
  }

  /** Sessions are refused last. @throws RefusalError `unavailable` */
  checkSession(): void {
    if (this.current === 'exhausted') throw this.refusal();
  }

  /** The store has refused a write because its memory is full. */
  outOfMemory(): void {
    this.dependencies.measure();
  }

  /** A measurement begins. What is stored from now on may not be in it. */
  measuring(): void {
    this.storedBefore = this.storedBytes;
  }

  measured(use: MemoryUse): void {
    const growth = use.usedBytes - this.use.usedBytes;
    this.use = use;
    this.line = this.lines();
    this.storedBytes -= this.storedBefore;
    this.storedBefore = 0;
    this.warnOfPolicy();
    this.shares.measured(growth);
    const level = this.isBounded ? this.steady(use.usedBytes) : 'ample';
    if (level === 'ample') this.shares.clear();
    if (level === this.current) return;
    const isWorse = levels.indexOf(level) > levels.indexOf(this.current);
    const was = this.current === 'scarce' ? 'scarce' : 'full';
    this.current = level;
    this.announce(isWorse, was);
  }

  /** True if memory is scarce. */
  private check(userId: string, weight: number): boolean {
    const { line } = this;
    const estimate = this.use.usedBytes + this.waitingBytes + this.storedBytes + weight;
    if (this.current === 'ample' && estimate <= line.scarce) return false;
    if (estimate > line.reserved || !this.mayCreate) {
      this.dependencies.measure();
      throw this.refusal();
    }
    const share = Math.floor((line.reserved - estimate) * sharePerUser);
    if (this.shares.of(userId) + weight <= share) return true;
    this.dependencies.measure();
    this.dependencies.counts.memoryShare++;
    throw new RefusalError(
      'quota_exceeded',
      `the memory of ${this.settings.of} is scarce: each user may add ${share} bytes now, and this user has used that up`,
      { retryAfterMs, limit: share, size: weight },
    );
  }

  private stored(weight: number): void {
    this.storedBytes += weight;
    const share = this.current === 'ample' ? measuredShare.ample : measuredShare.else;
    if (this.storedBytes >= Math.min(measuredBytesMax, this.use.maxBytes * share))
      this.dependencies.measure();
  }

  private lines(): Lines {
    const { maxBytes } = this.use;
    const reserve = this.settings.reservedPercent / 100;
    return {
      scarce: maxBytes * (1 - 2 * reserve),
      reserved: maxBytes * (1 - reserve),
      exhausted: maxBytes * (1 - reserve / 2),
    };
  }

  /** The level of this use; the present one holds a little longer, so that it does not change all the time. */
  private steady(usedBytes: number): MemoryLevel {
    const { line } = this;
    const levelAt = (bytes: number) => {
      if (bytes > line.exhausted) return 'exhausted';
      if (bytes > line.reserved) return 'reserved';
      return bytes > line.scarce ? 'scarce' : 'ample';
    };
    const rising = levelAt(usedBytes);
    const falling = levelAt(usedBytes + this.use.maxBytes * hysteresis);
    if (levels.indexOf(rising) > levels.indexOf(this.current)) return rising;
    return levels.indexOf(falling) < levels.indexOf(this.current) ? falling : this.current;
  }

  private announce(isWorse: boolean, was: 'scarce' | 'full'): void {
    const { log } = this.dependencies;
    const { usedBytes, maxBytes } = this.use;
    const fields = { memory_level: this.current, used_bytes: usedBytes, max_bytes: maxBytes };
    const { of, remedy } = this.settings;
    if (!isWorse) log.info(`The memory of ${of} is no longer ${was}`, fields);
    else if (this.current === 'scarce')
      log.warn(`The memory of ${of} is scarce: each user may add only a small share of what is left`, {
        ...fields,
        remedy,
      });
    else
      log.error(`The memory of ${of} is full: publishes that need more are refused`, { ...fields, remedy });
  }

  /** Once for each policy: a Redis that deletes what it likes breaks every promise about stored messages. */
  private warnOfPolicy(): void {
    const { policy, maxBytes } = this.use;
    if (maxBytes === 0 || policy === 'noeviction' || policy === this.warnedPolicy) return;
    this.warnedPolicy = policy;
    this.dependencies.log.warn(
      `Redis deletes data when its memory is full (maxmemory-policy ${policy}): messages, idempotency keys, sessions and revocations will be lost`,
      { max_bytes: maxBytes, remedy: 'set maxmemory-policy noeviction' },
    );
  }
}
