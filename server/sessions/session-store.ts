import type { Position } from '../../shared/position.js';

/** What is kept of a client between its connections. */
export interface StoredSession {
  readonly id: string;
  readonly user_id: string;
  /** Subscriptions, with the position from which each is to be continued. */
  readonly topics: Readonly<Record<string, Position>>;
  /** Milliseconds since 1970. */
  readonly created_at: number;
  readonly updated_at: number;
}

/** Where sessions are kept; every entry expires after the sessions' time to live. */
export interface SessionStore {
  get(id: string): Promise<StoredSession | undefined>;
  put(session: StoredSession): Promise<void>;
}
