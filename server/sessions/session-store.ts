import type { Position } from '../../shared/position.js';
import type { SessionLease } from './session-lease.js';

/** The state of a client between its connections. */
export interface StoredSession {
  readonly id: string;
  readonly user_id: string;
  /** Subscriptions, each with the position to continue from. */
  readonly topics: Readonly<Record<string, Position>>;
  /** Up to where the client may have received messages, of topics in which that is further. Releases before 0.3 ignore it. */
  readonly reached?: Readonly<Record<string, Position>> | undefined;
  /** Milliseconds since 1970; 0: not known. */
  readonly created_at: number;
  readonly updated_at: number;
  /** Position of the user's inbox when the client was last connected: a loss after it is noticed. */
  readonly inbox?: Position | undefined;
  /** The lease of the session, see {@link SessionLease}. Undefined: nobody has claimed it yet. */
  readonly generation?: number | undefined;
  readonly owner?: string | null | undefined;
}

/** {@link StoredSession.reached} of a topic. A topic may be called like a member of every object. */
export function reachedIn({ reached }: StoredSession, topic: string): Position | undefined {
  return reached !== undefined && Object.hasOwn(reached, topic) ? reached[topic] : undefined;
}

/** The store takes no session, because its memory is full. */
export class NoRoomError extends Error {
  override readonly name = 'NoRoomError';
}

/** A session in the store, with its remaining time. */
export interface KeptSession extends StoredSession {
  /** Whole seconds until it expires; null: it does not expire. */
  readonly expires_in_secs: number | null;
}

export interface SessionPage {
  readonly sessions: readonly KeptSession[];
  /** Entries that are not readable sessions. */
  readonly malformed: number;
  /** Cursor of the next page; undefined after the last one. */
  readonly next: string | undefined;
}

/** Result of writing many sessions: written, or kept because the stored session was newer. */
export interface PutResult {
  readonly written: number;
  readonly kept: number;
}

/** What the sessions of one user may take whose clients are not connected; 0: no limit. */
export interface SessionLimits {
  readonly userSessions: number;
  readonly userBytes: number;
}

/** Sessions that were dropped, oldest first, because their user, or all users together, had too many. */
export interface SessionDrops {
  /** Above the limits of the user. */
  ofUser(userId: string, count: number): void;
  /** Above the memory of all sessions. */
  forRoom(count: number): void;
}

/**
 * Stores sessions; every entry expires after the time to live of sessions. Of a user above the limits, the sessions are
 * dropped whose clients are not connected, the oldest first.
 */
export interface SessionStore {
  /** Undefined if there is no session, or it cannot be read. */
  get(id: string): Promise<StoredSession | undefined>;
  /**
   * Writes a session, with the full time to live, if the lease `by` still holds it: see
   * {@link import('./session-lease.js').mayWrite}. False if another connection has claimed it, or if it has
   * been retired; then nothing is written. The comparison and the write are one atomic step. While it is held it
   * is never dropped: its replica releases it when the connection closes.
   *
   * @throws NoRoomError
   */
  save(session: StoredSession, by: SessionLease): Promise<boolean>;
  /**
   * Removes the state of a session whose lease is `by`: it cannot be resumed until that lease writes it again. Also
   * possible if there is no room.
   */
  forget(id: string, by: SessionLease): Promise<void>;
  /**
   * Gives a session that was read a new lease, and the full time to live, if it still has the same lease.
   * Returns the session as it is stored now; undefined if its lease has changed, or it is gone. One atomic
   * step.
   */
  claim(known: StoredSession, lease: SessionLease): Promise<StoredSession | undefined>;
  /**
   * Ends a session id for good: it can neither be resumed nor written any more, for the time to live of
   * sessions.
   */
  retire(id: string): Promise<void>;
  /**
   * Writes many sessions, each with the full time to live. The number of calls in flight is limited. A stored
   * session with a later `updated_at` is kept, unless `overwrite`; the comparison and the write are one
   * atomic step. A lease stays as it is.
   */
  putMany(sessions: readonly StoredSession[], options: { readonly overwrite: boolean }): Promise<PutResult>;
  /** As `get`, with its remaining time. */
  find(id: string): Promise<KeptSession | undefined>;
  /** The last sessions of a user whose clients are not connected, at most `limit`; in no order. */
  leftOf(userId: string, limit: number): Promise<readonly StoredSession[]>;
  /** False if there was no session. */
  delete(id: string): Promise<boolean>;
  /**
   * Approximate number of entries: those added or removed during the count may be included or not. The time
   * grows with the number.
   */
  count(): Promise<number>;
  /**
   * About `size` sessions, from the cursor of an earlier page. A session that exists during the whole walk is
   * returned at least once. It may be returned again on a later page, and a page may be empty without being
   * the last.
   */
  page(cursor: string | undefined, size: number): Promise<SessionPage>;
}
