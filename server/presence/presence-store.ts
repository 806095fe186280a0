import type { PresencePageRequest } from './presence-reader.js';

/** The new number of connections of a user that are subscribed to a topic on this replica. */
export interface PresenceChange {
  readonly userId: string;
  readonly connections: number;
}

/** A user whose number of connections on all replicas changed from zero or to zero. */
export interface PresenceTransition {
  readonly userId: string;
  readonly event: 'join' | 'leave';
  readonly connections: number;
}

/** Connections per user, of live replicas: one page. */
export interface PresenceCounts {
  readonly counts: ReadonlyMap<string, number>;
  /** Number of all users; with several pages it may include users of a replica that is gone. */
  readonly total: number;
  /** Cursor of the next page; undefined after the last one. */
  readonly next: string | undefined;
}

/** The subscribers of topics, on all replicas. Each replica writes only its own counts. */
export interface PresenceStore {
  /**
   * Sets this replica's counts. Resolves to the users whose first connection in the cluster came, or whose
   * last one ended.
   */
  apply(topic: string, changes: readonly PresenceChange[]): Promise<PresenceTransition[]>;
  /**
   * A page of the users. A user who is there during the whole walk is in one page at least; while users come
   * and go, the same user may be in two.
   */
  read(topic: string, page: PresencePageRequest): Promise<PresenceCounts>;
}
