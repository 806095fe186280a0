import type { PresencePageRequest } from './presence-reader.js';

/** The new number of connections of a user that are subscribed to a topic on this replica. */
export interface PresenceChange {
  readonly userId: string;
  readonly connections: number;
  /** Whether an earlier number may be stored. Then a user who leaves is announced, even if the store has lost it. */
  readonly wasStored: boolean;
}

/** A user whose number of connections on all replicas changed from zero or to zero. */
export interface PresenceTransition {
  readonly userId: string;
  readonly event: 'join' | 'leave';
  readonly connections: number;
}

/** Connections per user, on all replicas: one page. */
export interface PresenceCounts {
  readonly counts: ReadonlyMap<string, number>;
  /** Number of all users, also those of other pages. */
  readonly total: number;
  /** Cursor of the next page; undefined after the last one. */
  readonly next: string | undefined;
}

/**
 * The subscribers of topics, on all replicas. Each replica writes only its own counts. They are valid as long as the
 * replica has its lease; afterwards others remove them.
 */
export interface PresenceStore {
  /**
   * Sets this replica's counts. `isLast`: the replica has no users on the topic afterwards. Calls for a topic follow
   * each other. After a rejection the counts may be stored or not.
   */
  apply(topic: string, changes: readonly PresenceChange[], isLast: boolean): Promise<void>;
  /**
   * A page of the users. A user who is there during the whole walk is in one page at least; while users come
   * and go, the same user may be in two.
   */
  read(topic: string, page: PresencePageRequest): Promise<PresenceCounts>;
  /** The topics of which counts of this replica are stored. */
  storedTopics(): Promise<string[]>;
  /** The counts of this replica on a topic, as they are stored. */
  stored(topic: string): Promise<ReadonlyMap<string, number>>;
  /**
   * Looks whether a user of each topic is still stored, and keeps the topics from expiring. Resolves to the topics
   * that are lost, or to `all` if it is not known which.
   */
  check(samples: readonly { readonly topic: string; readonly userId: string }[]): Promise<string[] | 'all'>;
  /**
   * Sets what receives the users who became present or absent in the cluster, by whatever replica: in order, and once
   * each while the store is reachable.
   */
  onTransitions(listener: (topic: string, transitions: readonly PresenceTransition[]) => void): void;
  /** Sets what is called when counts of this replica may be lost. */
  onLost(listener: () => void): void;
  /** Sets the topics whose users are looked after on this replica. */
  followTopics(topics: () => Iterable<string>): void;
  /** Within this time all live replicas have stored again what the store has lost, in milliseconds; 0: nothing can be lost. */
  readonly settleMs: number;
}
