import type { Position } from '../../shared/position.js';

/** The state of a client between its connections. */
export interface StoredSession {
  readonly id: string;
  readonly user_id: string;
  /** Subscriptions, each with the position to continue from. */
  readonly topics: Readonly<Record<string, Position>>;
  /** Milliseconds since 1970; 0: not known. */
  readonly created_at: number;
  readonly updated_at: number;
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
   * Writes a session. While its client is connected it is never dropped: its replica writes it again when the
   * connection closes.
   */
  put(session: StoredSession, isConnected?: boolean): Promise<void>;
  /**
   * Writes many sessions, each with the full time to live. The number of calls in flight is limited. A stored
   * session with a later `updated_at` is kept, unless `overwrite`; the comparison and the write are one
   * atomic step.
   */
  putMany(sessions: readonly StoredSession[], options: { readonly overwrite: boolean }): Promise<PutResult>;
  /** As `get`, with its remaining time. */
  find(id: string): Promise<KeptSession | undefined>;
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
