import type { HeldLease } from './session-lease.js';
import type { SessionStore, StoredSession } from './session-store.js';

interface RecentSession {
  readonly session: StoredSession;
  /** The lease of the connection that has left. */
  readonly lease: HeldLease;
  readonly leftAt: number;
  /** Positions in it, about. */
  readonly size: number;
}

/** A store that has lost writes has lost those of the last moments. */
const keptMs = 120_000;
const keptMax = 2000;
/** Positions in them together: a session can have a thousand topics. */
const positionsMax = 50_000;

/**
 * The sessions whose connections have left a short time ago, as they were written. After a failover the store may have
 * an earlier state of them, in which the connection still holds its session, and its client has received less.
 */
export class RecentSessions {
  private readonly sessions = new Map<string, RecentSession>();
  private positions = 0;

  constructor(private readonly store: Pick<SessionStore, 'get' | 'save'>) {}

  add(session: StoredSession, lease: HeldLease): void {
    this.remove(session.id);
    const size = Object.keys(session.topics).length + Object.keys(session.reached ?? {}).length;
    this.sessions.set(session.id, { session, lease, leftAt: performance.now(), size });
    this.positions += size;
    for (const oldest of this.sessions.keys()) {
      if (this.sessions.size <= keptMax && this.positions <= positionsMax) break;
      this.remove(oldest);
    }
  }

  /** Removes those that have left too long ago. Called from time to time. */
  removeOld(): void {
    const before = performance.now() - keptMs;
    for (const [id, { leftAt }] of this.sessions) {
      if (leftAt > before) break;
      this.remove(id);
    }
  }

  /**
   * Writes them again, or the one with this id, unless another connection has claimed the session since. One that the
   * store does not have any more is not written: it may have been deleted. Never rejects.
   */
  async restore(id?: string): Promise<void> {
    this.removeOld();
    const recent = id === undefined ? [...this.sessions.values()] : [this.sessions.get(id)];
    await Promise.allSettled(recent.map((one) => one && this.write(one)));
  }

  private remove(id: string): void {
    this.positions -= this.sessions.get(id)?.size ?? 0;
    this.sessions.delete(id);
  }

  private async write({ session, lease }: RecentSession): Promise<void> {
    // The lease allows it only while the store has an earlier state: the state itself has none.
    if ((await this.store.get(session.id)) !== undefined) await this.store.save(session, lease);
  }
}
