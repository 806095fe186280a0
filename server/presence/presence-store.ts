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

/** The subscribers of topics, on all replicas. Each replica writes only its own counts. */
export interface PresenceStore {
  /**
   * Sets this replica's counts. Resolves to the users whose first connection in the cluster came, or whose
   * last one ended.
   */
  apply(topic: string, changes: readonly PresenceChange[]): Promise<PresenceTransition[]>;
  /** Connections per user, of live replicas. */
  read(topic: string): Promise<Map<string, number>>;
}
