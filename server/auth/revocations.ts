import { RecordEnds } from '../cluster/record-ends.js';
import type { ReplicatedMap } from '../cluster/replicated-map.js';
import type { Clock, Timer } from '../primitives/clock.js';
import type { Identity } from '../protocol/identity.js';

/** Revoked tokens, as operators see them. */
interface RevocationRecord {
  /** `user:<id>`, `token:<jti>` or `family:<id>`. */
  readonly subject: string;
  /** Tokens of the user that were issued before this (seconds since 1970) are revoked; only for users. */
  readonly not_before?: number;
  /** The record may be deleted after this (seconds since 1970): by then all tokens it revokes have expired. */
  readonly until: number;
  readonly reason?: string;
}

type Stored = Omit<RevocationRecord, 'subject'>;

interface RevocationsDependencies {
  readonly map: ReplicatedMap;
  readonly clock: Pick<Clock, 'now' | 'wallTime' | 'setInterval' | 'clearTimer'>;
}

interface RevocationsSettings {
  /**
   * Records are kept for this long, in seconds, if the expiry of the token is not known: the longest lifetime
   * of a token.
   */
  readonly keepSecs: number;
  readonly leewaySecs: number;
}

const cleanUpMs = 60_000;

/**
 * Revoked tokens, the same on all replicas and kept over restarts: single tokens, families of refreshed
 * tokens, and all tokens that a user was issued up to a time. A check reads only memory, so it also works
 * while the store is unreachable.
 */
export class Revocations {
  private readonly records = new Map<string, Stored>();
  private readonly listeners: (() => void)[] = [];
  private readonly ends: RecordEnds;
  private readonly timer: Timer;

  constructor(
    private readonly dependencies: RevocationsDependencies,
    private readonly settings: RevocationsSettings,
  ) {
    this.ends = new RecordEnds(dependencies.clock);
    for (const [subject, text] of dependencies.map.entries()) this.take(subject, text);
    dependencies.map.onChange((subject, text) => this.take(subject, text));
    this.timer = dependencies.clock.setInterval(() => void this.cleanUp(), cleanUpMs);
    this.timer.unref();
  }

  /** Called after each new revocation that this replica receives. */
  onRevoked(listener: () => void): void {
    this.listeners.push(listener);
  }

  /**
   * Whether a token is revoked. The time of issue has whole seconds: tokens issued in the second of the
   * revocation count as issued before it. So a user who logs in again within that second may have to log in
   * once more. A token without a time of issue counts as issued before.
   */
  readonly isRevoked = ({ userId, tokenId, familyId, issuedAt }: Identity): boolean => {
    if (this.records.size === 0) return false;
    if (tokenId !== undefined && this.records.has(`token:${tokenId}`)) return true;
    if (familyId !== undefined && this.records.has(`family:${familyId}`)) return true;
    const notBefore = this.records.get(`user:${userId}`)?.not_before;
    return notBefore !== undefined && (issuedAt === undefined || issuedAt < notBefore);
  };

  /**
   * As {@link isRevoked}, for decisions: a token that may have been revoked is not accepted.
   *
   * @throws RefusalError `unavailable` until the revocations have been read from the store once
   */
  readonly checkedIsRevoked = (identity: Identity): boolean => {
    this.dependencies.map.checkKnown('which tokens are revoked');
    return this.isRevoked(identity);
  };

  /** Revokes all tokens that a user was issued up to now. @throws RefusalError `unavailable` */
  async revokeUser(userId: string, reason?: string): Promise<RevocationRecord> {
    return this.add(`user:${userId}`, { not_before: this.nowSecs() + 1, until: this.keptUntil() }, reason);
  }

  /** Revokes one token; `expiresAt` in seconds since 1970, if known. @throws RefusalError `unavailable` */
  async revokeToken(tokenId: string, expiresAt?: number, reason?: string): Promise<RevocationRecord> {
    const until = expiresAt === undefined ? this.keptUntil() : expiresAt + this.settings.leewaySecs;
    return this.add(`token:${tokenId}`, { until }, reason);
  }

  /** Revokes all tokens of one login. @throws RefusalError `unavailable` */
  async revokeFamily(familyId: string, reason?: string): Promise<RevocationRecord> {
    return this.add(`family:${familyId}`, { until: this.keptUntil() }, reason);
  }

  get size(): number {
    return this.records.size;
  }

  list(): RevocationRecord[] {
    return [...this.records].map(([subject, stored]) => ({ subject, ...stored }));
  }

  close(): void {
    this.dependencies.clock.clearTimer(this.timer);
  }

  /** A second revocation takes nothing back of the first: the clock of this replica may be behind that of the one before. */
  private async add(subject: string, stored: Stored, reason: string | undefined): Promise<RevocationRecord> {
    const before = this.records.get(subject);
    const { not_before: notBefore } = stored;
    const record = {
      ...(notBefore !== undefined && { not_before: Math.max(notBefore, before?.not_before ?? 0) }),
      until: Math.max(stored.until, before?.until ?? 0),
      ...(reason !== undefined && { reason }),
    };
    await this.dependencies.map.set({ [subject]: JSON.stringify(record) });
    return { subject, ...record };
  }

  private take(subject: string, text: string | undefined): void {
    if (text === undefined) {
      this.records.delete(subject);
      this.ends.delete(subject);
      return;
    }
    const stored = JSON.parse(text) as Stored;
    this.records.set(subject, stored);
    this.ends.set(subject, stored.until * 1000);
    for (const listener of this.listeners) listener();
  }

  /** Deletes expired records. Every replica does this; the first one is enough. */
  private async cleanUp(): Promise<void> {
    const past = this.ends.past();
    if (past.length === 0) return;
    try {
      await this.dependencies.map.set(Object.fromEntries(past.map((subject) => [subject, undefined])));
    } catch {
      // The store is unreachable: the next run tries again.
    }
  }

  private keptUntil(): number {
    return this.nowSecs() + this.settings.keepSecs + this.settings.leewaySecs;
  }

  private nowSecs(): number {
    return Math.floor(this.dependencies.clock.wallTime() / 1000);
  }
}
