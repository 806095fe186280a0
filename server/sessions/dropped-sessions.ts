import type { QuotaCounts } from '../limits/quota-counts.js';
import type { Log } from '../logging/log.js';
import type { SessionDrops, SessionLimits } from './session-store.js';

interface DroppedSessionsDependencies {
  readonly counts: QuotaCounts;
  readonly log: Log;
  readonly now: () => number;
}

interface DroppedSessionsSettings extends SessionLimits {
  readonly memoryBytes: number;
}

const warnEveryMs = 3_600_000;

/** Counts dropped sessions, and warns of it once an hour. */
export class DroppedSessions implements SessionDrops {
  private warnedOfUserAt = -Infinity;
  private warnedOfRoomAt = -Infinity;

  constructor(
    private readonly dependencies: DroppedSessionsDependencies,
    private readonly settings: DroppedSessionsSettings,
  ) {}

  ofUser(userId: string, count: number): void {
    const { counts, log, now } = this.dependencies;
    counts.userSessions += count;
    if (now() - this.warnedOfUserAt < warnEveryMs) return;
    this.warnedOfUserAt = now();
    log.warn('A user has too many sessions: the oldest are dropped, and cannot be resumed', {
      user_id: userId,
      limit: this.settings.userSessions,
      limit_bytes: this.settings.userBytes,
      remedy:
        'if many clients share this user id, raise sessions.max_per_user and sessions.max_bytes_per_user; if one client connects over and over, revoke its tokens',
    });
  }

  forRoom(count: number): void {
    const { counts, log, now } = this.dependencies;
    counts.sessionMemory += count;
    if (now() - this.warnedOfRoomAt < warnEveryMs) return;
    this.warnedOfRoomAt = now();
    log.warn('The memory of sessions is full: the oldest of the users with most of it are dropped', {
      limit_bytes: this.settings.memoryBytes,
      remedy: 'raise sessions.memory_bytes, lower sessions.ttl_secs, or use Redis',
    });
  }
}
