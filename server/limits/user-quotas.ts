import { RefusalError } from '../../shared/errors.js';
import type { Log } from '../logging/log.js';
import type { Connection } from '../protocol/connection.js';
import type { QuotaCounts } from './quota-counts.js';
import { TokenBucket } from '../primitives/token-bucket.js';
import { UserQuota } from './user-quota.js';
import type { UserQuotaStore } from './user-quota-store.js';

interface UserQuotasDependencies {
  /** Undefined: this replica runs alone. */
  readonly store: UserQuotaStore | undefined;
  readonly counts: QuotaCounts;
  readonly log: Log;
  /** Never goes back: `performance.now`. */
  readonly now: () => number;
}

interface UserQuotasSettings {
  /** Bytes of payloads per second and connection; 0: no limit. */
  readonly connectionBytesPerSec: number;
  /** The same for all connections of a user together. */
  readonly userBytesPerSec: number;
  /** Bytes that a user may store in one window; 0: no limit. */
  readonly storedBytes: number;
  /** Topics that a user may create in one window; 0: no limit. */
  readonly newTopics: number;
  /** Of `storedBytes` and `newTopics`. */
  readonly windowMs: number;
}

/** Bytes per second are counted over this time, so that short bursts pass. */
const rateWindowSecs = 10;

/** What users may publish, store and create in a time. All limits are off unless they are set. */
export class UserQuotas {
  private readonly buckets = new WeakMap<Connection, TokenBucket>();
  private readonly published: UserQuota;
  private readonly stored: UserQuota;
  private readonly topics: UserQuota;

  constructor(
    private readonly dependencies: UserQuotasDependencies,
    private readonly settings: UserQuotasSettings,
  ) {
    const { userBytesPerSec, storedBytes, newTopics, windowMs } = settings;
    const rateLimit = userBytesPerSec * rateWindowSecs;
    this.published = new UserQuota(dependencies, {
      name: 'published',
      limit: rateLimit,
      windowMs: rateWindowSecs * 1000,
    });
    this.stored = new UserQuota(dependencies, { name: 'stored', limit: storedBytes, windowMs });
    this.topics = new UserQuota(dependencies, { name: 'topics', limit: newTopics, windowMs });
  }

  /** Whether there is a limit of {@link admitStored} or {@link admitTopic}. */
  get limitsStored(): boolean {
    return this.stored.isLimited || this.topics.isLimited;
  }

  get limitsTopics(): boolean {
    return this.topics.isLimited;
  }

  /** Counts the payload of a command. @throws RefusalError `rate_limited` */
  admitBytes(connection: Connection, json: string, attachments: readonly Buffer[]): void {
    const { connectionBytesPerSec, userBytesPerSec } = this.settings;
    if (connectionBytesPerSec === 0 && userBytesPerSec === 0) return;
    const bytes = payloadBytes(json, attachments);
    if (connectionBytesPerSec > 0) this.takeOnConnection(connection, connectionBytesPerSec, bytes);
    if (!this.published.isLimited) return;
    const { userId } = connection.identity;
    const retryAfterMs = this.published.waitMs(userId, bytes);
    if (retryAfterMs > 0) {
      this.dependencies.counts.userBytes++;
      throw new RefusalError(
        'rate_limited',
        `the user publishes more than ${userBytesPerSec} bytes a second`,
        {
          retryAfterMs,
          limit: userBytesPerSec,
          size: bytes,
        },
      );
    }
    this.published.used(userId, bytes);
  }

  /**
   * Reserves what a message takes. The returned function must be called with the outcome.
   *
   * @throws RefusalError `quota_exceeded`
   */
  admitStored(userId: string, bytes: number): (isStored: boolean) => void {
    const retryAfterMs = this.stored.waitMs(userId, bytes);
    if (retryAfterMs === 0) return this.stored.reserve(userId, bytes);
    this.dependencies.counts.storedBytes++;
    throw this.refusal(`more than ${this.stored.limit} bytes`, this.stored.limit, retryAfterMs, 'store');
  }

  /** Whether the user may create another topic. */
  mayCreate(userId: string): boolean {
    return this.topics.waitMs(userId, 1) === 0;
  }

  /**
   * Reserves the creation of a topic; undefined: the user may not create another one. The returned function must be
   * called with the outcome.
   */
  admitTopic(userId: string): ((isCreated: boolean) => void) | undefined {
    return this.mayCreate(userId) ? this.topics.reserve(userId, 1) : undefined;
  }

  /** A topic was created without a reservation. */
  onCreated(userId: string): void {
    this.topics.used(userId, 1);
  }

  /** The refusal of a message that would create a topic. */
  noNewTopic(userId: string): RefusalError {
    this.dependencies.counts.newTopics++;
    const retryAfterMs = Math.max(1, this.topics.waitMs(userId, 1));
    return this.refusal(`more than ${this.topics.limit} topics`, this.topics.limit, retryAfterMs, 'create');
  }

  close(): void {
    for (const quota of [this.published, this.stored, this.topics]) quota.close();
  }

  private takeOnConnection(connection: Connection, bytesPerSec: number, bytes: number): void {
    const now = this.dependencies.now();
    let bucket = this.buckets.get(connection);
    if (bucket === undefined) {
      bucket = new TokenBucket(bytesPerSec, now);
      this.buckets.set(connection, bucket);
    }
    const retryAfterMs = bucket.take(now, bytes);
    if (retryAfterMs === 0) return;
    this.dependencies.counts.connectionBytes++;
    throw new RefusalError('rate_limited', `more than ${bytesPerSec} bytes a second`, {
      retryAfterMs,
      limit: bytesPerSec,
      size: bytes,
    });
  }

  private refusal(what: string, limit: number, retryAfterMs: number, verb: string): RefusalError {
    const seconds = this.settings.windowMs / 1000;
    return new RefusalError('quota_exceeded', `the user may not ${verb} ${what} in ${seconds} seconds`, {
      retryAfterMs,
      limit,
    });
  }
}

/** Bytes of a payload: its JSON, and its binary parts. */
export function payloadBytes(json: string, attachments: readonly Buffer[]): number {
  let bytes = Buffer.byteLength(json);
  for (const part of attachments) bytes += part.length;
  return bytes;
}
