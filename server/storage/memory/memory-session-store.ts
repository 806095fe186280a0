import {
  isSameLease,
  leaseOf,
  mayWrite,
  retiredGeneration,
  type SessionLease,
} from '../../sessions/session-lease.js';
import { sessionBytes } from '../../sessions/session-size.js';
import type {
  KeptSession,
  PutResult,
  SessionDrops,
  SessionLimits,
  SessionPage,
  SessionStore,
  StoredSession,
} from '../../sessions/session-store.js';
import { LeftSessions } from './left-sessions.js';

interface MemorySessionStoreDependencies {
  /** Monotonic: a clock that is set does not end sessions. */
  readonly now: () => number;
  readonly drops?: SessionDrops;
}

interface MemorySessionStoreSettings {
  readonly ttlMs: number;
  /** Absent: no limits. */
  readonly limits?: SessionLimits & { readonly memoryBytes: number };
}

interface Kept {
  readonly session: StoredSession;
  readonly isRetired?: true;
  readonly expiresAt: number;
  /** Increases with each write: the order of the map. */
  readonly serial: number;
}

/** Sessions of a replica that runs alone; they end with the process. */
export class MemorySessionStore implements SessionStore {
  private readonly sessions = new Map<string, Kept>();
  private readonly left = new LeftSessions();
  private lastSerial = 0;

  constructor(
    private readonly dependencies: MemorySessionStoreDependencies,
    private readonly settings: MemorySessionStoreSettings,
  ) {}

  async get(id: string): Promise<StoredSession | undefined> {
    return this.live(id)?.session;
  }

  async find(id: string): Promise<KeptSession | undefined> {
    const kept = this.live(id);
    return kept === undefined ? undefined : this.timed(kept);
  }

  async save(session: StoredSession, by: SessionLease): Promise<boolean> {
    const stored = this.known(session.id);
    if (!mayWrite(stored && leaseOf(stored.session), by)) return false;
    this.put(session);
    return true;
  }

  async forget(id: string, by: SessionLease): Promise<void> {
    const stored = this.known(id)?.session;
    if (stored !== undefined && isSameLease(leaseOf(stored), by)) this.putWithoutState(id, by);
  }

  async claim(known: StoredSession, lease: SessionLease): Promise<StoredSession | undefined> {
    const stored = this.live(known.id)?.session;
    if (stored === undefined || !isSameLease(leaseOf(stored), leaseOf(known))) return undefined;
    const claimed = { ...stored, ...lease };
    this.put(claimed);
    return claimed;
  }

  async retire(id: string): Promise<void> {
    this.putWithoutState(id, { generation: retiredGeneration, owner: null });
  }

  async putMany(
    sessions: readonly StoredSession[],
    { overwrite }: { readonly overwrite: boolean },
  ): Promise<PutResult> {
    let kept = 0;
    for (const session of sessions) {
      const known = this.live(session.id)?.session;
      if (!overwrite && known !== undefined && known.updated_at > session.updated_at) kept++;
      else this.put({ ...session, ...(known && leaseFieldsOf(known)) });
    }
    return { written: sessions.length - kept, kept };
  }

  async delete(id: string): Promise<boolean> {
    const known = this.live(id) !== undefined;
    this.remove(id);
    return known;
  }

  async count(): Promise<number> {
    this.dropExpired();
    return this.sessions.size;
  }

  async page(cursor: string | undefined, size: number): Promise<SessionPage> {
    this.dropExpired();
    const after = Number(cursor ?? 0);
    const sessions: KeptSession[] = [];
    let serial = after;
    for (const kept of this.sessions.values()) {
      if (kept.serial <= after || kept.isRetired) continue;
      if (sessions.length === size) return { sessions, malformed: 0, next: String(serial) };
      sessions.push(this.timed(kept));
      serial = kept.serial;
    }
    return { sessions, malformed: 0, next: undefined };
  }

  private putWithoutState(id: string, lease: SessionLease): void {
    this.put({ id, user_id: '', topics: {}, created_at: 0, updated_at: 0, ...lease }, true);
  }

  private put(session: StoredSession, isRetired = false): void {
    this.remove(session.id);
    this.sessions.set(session.id, {
      session,
      ...(isRetired && { isRetired }),
      expiresAt: this.dependencies.now() + this.settings.ttlMs,
      serial: ++this.lastSerial,
    });
    this.dropExpired();
    if (leaseOf(session).owner !== null || isRetired) return;
    this.left.add(session.user_id, session.id, sessionBytes(session));
    this.keepLimits(session.user_id);
  }

  private known(id: string): Kept | undefined {
    const kept = this.sessions.get(id);
    return kept !== undefined && kept.expiresAt > this.dependencies.now() ? kept : undefined;
  }

  /** As {@link known}, without retired sessions. */
  private live(id: string): Kept | undefined {
    const kept = this.known(id);
    return kept?.isRetired ? undefined : kept;
  }

  private timed({ session, expiresAt }: Kept): KeptSession {
    return { ...session, expires_in_secs: Math.ceil((expiresAt - this.dependencies.now()) / 1000) };
  }

  /** The map is in order of expiry, so the expired sessions come first. */
  private dropExpired(): void {
    const now = this.dependencies.now();
    for (const [id, { expiresAt }] of this.sessions) {
      if (expiresAt > now) break;
      this.remove(id);
    }
  }

  private remove(id: string): void {
    const kept = this.sessions.get(id);
    if (kept === undefined) return;
    this.sessions.delete(id);
    this.left.remove(kept.session.user_id, id);
  }

  private keepLimits(userId: string): void {
    const { limits } = this.settings;
    if (limits === undefined) return;
    const { drops } = this.dependencies;
    const ofUser = this.left.dropOfUser(userId, limits);
    const forRoom = this.left.dropForRoom(limits.memoryBytes);
    for (const id of [...ofUser, ...forRoom]) this.sessions.delete(id);
    if (ofUser.length > 0) drops?.ofUser(userId, ofUser.length);
    if (forRoom.length > 0) drops?.forRoom(forRoom.length);
  }
}

function leaseFieldsOf({ generation, owner }: StoredSession): Pick<StoredSession, 'generation' | 'owner'> {
  return generation === undefined ? {} : { generation, owner };
}
