import type { HeldLease } from './session-lease.js';
import type { SessionStore, StoredSession } from './session-store.js';

interface RecentSession {
  readonly session: StoredSession;
  /** The lease of the connection that has left. */
  readonly lease: HeldLease;
  readonly leftAt: number;
}

/** A store that has lost writes has lost those of the last moments. */
const keptMs = 120_000;
const keptMax = 2000;

/**
 * The sessions whose connections have left a short time ago, as they were written. After a failover the store may have
 * an earlier state of them, in which the connection still holds its session, and its client has received less.
 */
export class RecentSessions {
  private readonly sessions = new Map<string, RecentSession>();

  constructor(private readonly store: Pick<SessionStore, 'get' | 'save'>) {}

  add(session: StoredSession, lease: HeldLease): void {
    this.sessions.delete(session.id);
    this.sessions.set(session.id, { session, lease, leftAt: performance.now() });
    const [oldest] = this.sessions.keys();
    if (this.sessions.size > keptMax) this.sessions.delete(oldest!);
  }

  /**
   * Writes them again, or the one with this id, unless another connection has claimed the session since. One that the
   * store does not have any more is not written: it may have been deleted. Never rejects.
   */
  async restore(id?: string): Promise<void> {
    const before = performance.now() - keptMs;
    for (const [one, { leftAt }] of this.sessions) {
      if (leftAt > before) break;
      this.sessions.delete(one);
    }
    const recent = id === undefined ? [...this.sessions.values()] : [this.sessions.get(id)];
    await Promise.allSettled(recent.map((one) => one && this.write(one)));
  }

  private async write({ session, lease }: RecentSession): Promise<void> {
    // The lease allows it only while the store has an earlier state: the state itself has none.
    if ((await this.store.get(session.id)) !== undefined) await this.store.save(session, lease);
  }
}
