import type { Position } from '../../shared/position.js';

/** What is kept of a client between its connections. */
export interface StoredSession {
  readonly id: string;
  readonly user_id: string;
  /** Subscriptions, with the position from which each is to be continued. */
  readonly topics: Readonly<Record<string, Position>>;
  /** Milliseconds since 1970; 0: not known. */
  readonly created_at: number;
  readonly updated_at: number;
}

/** A session as it lies in the store. */
export interface KeptSession extends StoredSession {
  /** Whole seconds until it expires; null: it does not. */
  readonly expires_in_secs: number | null;
}

export interface SessionPage {
  readonly sessions: readonly KeptSession[];
  /** Entries that are no readable session. */
  readonly malformed: number;
  /** Where the next page begins; undefined after the last one. */
  readonly next: string | undefined;
}

/** What became of many sessions: written, or the stored one was newer and was kept. */
export interface PutResult {
  readonly written: number;
  readonly kept: number;
}

/** Where sessions are kept; every entry expires after the sessions' time to live. */
export interface SessionStore {
  /** Undefined if there is none, or none that can be read. */
  get(id: string): Promise<StoredSession | undefined>;
  put(session: StoredSession): Promise<void>;
  /**
   * Writes many, each with the whole time to live; only so many are under way at a time. Of each one, a stored session with a later
   * `updated_at` is kept, in one step with the look at it, unless `overwrite`.
   */
  putMany(sessions: readonly StoredSession[], options: { readonly overwrite: boolean }): Promise<PutResult>;
  /** As `get`, with its remaining time. */
  find(id: string): Promise<KeptSession | undefined>;
  /** False if there was none. */
  delete(id: string): Promise<boolean>;
  /** Entries, about: those that come and go during the count may be in it or not. Takes time with their number. */
  count(): Promise<number>;
  /**
   * About `size` sessions, from a cursor that an earlier page gave. A session that is there during the whole walk comes at least once;
   * it may come again on a later page, and a page may be empty without being the last.
   */
  page(cursor: string | undefined, size: number): Promise<SessionPage>;
}
