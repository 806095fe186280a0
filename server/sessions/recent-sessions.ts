import type { HolderAnswer } from './holder-answer.js';
import type { HeldLease } from './session-lease.js';
import { sessionBytes } from './session-size.js';
import type { SessionStore, StoredSession } from './session-store.js';

interface RecentSession {
  readonly session: StoredSession;
  /** The lease of the connection that has left. */
  readonly lease: HeldLease;
  readonly leftAt: number;
  readonly bytes: number;
}

/** A store that has lost writes has lost those of the last moments. */
const keptMs = 120_000;
const keptMax = 2000;
/** Of their memory, in bytes: sessions may have many topics. */
const keptBytesMax = 16 * 2 ** 20;

/**
 * The sessions whose connections have left a short time ago, as they were written. After a failover the store may have
 * an earlier state of them, in which the connection still holds its session, and its client has received less.
 */
export class RecentSessions {
  private readonly sessions = new Map<string, RecentSession>();
  private bytes = 0;

  constructor(private readonly store: Pick<SessionStore, 'get' | 'save'>) {}

  add(session: StoredSession, lease: HeldLease): void {
    this.forget(session.id);
    const bytes = sessionBytes(session);
    this.sessions.set(session.id, { session, lease, leftAt: performance.now(), bytes });
    this.bytes += bytes;
    this.removeOld();
    for (const [oldest] of this.sessions) {
      if (this.sessions.size <= keptMax && this.bytes <= keptBytesMax) break;
      this.forget(oldest);
    }
  }

  /**
   * Writes them again, unless another connection has claimed the session since. One that the store does not have any more
   * is not written: it may have been deleted. Never rejects.
   */
  async restore(): Promise<void> {
    this.removeOld();
    await Promise.allSettled([...this.sessions.values()].map((one) => this.write(one)));
  }

  /** As {@link restore}, for the one that another connection asks for. Never rejects. */
  async yield(id: string): Promise<HolderAnswer> {
    this.removeOld();
    const recent = this.sessions.get(id);
    if (recent === undefined) return null;
    try {
      await this.write(recent);
      return false;
    } catch {
      return { unwritten: recent.session };
    }
  }

  /** Forgets those that have left too long ago. Called from time to time. */
  removeOld(): void {
    const before = performance.now() - keptMs;
    for (const [id, { leftAt }] of this.sessions) {
      if (leftAt > before) break;
      this.forget(id);
    }
  }

  private forget(id: string): void {
    const known = this.sessions.get(id);
    if (known === undefined) return;
    this.sessions.delete(id);
    this.bytes -= known.bytes;
  }

  private async write({ session, lease }: RecentSession): Promise<void> {
    // The lease allows it only while the store has an earlier state: the state itself has none.
    if ((await this.store.get(session.id)) !== undefined) await this.store.save(session, lease);
  }
}
