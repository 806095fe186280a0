/** How many connections of a user listen to a topic on this replica, from now on. */
export interface PresenceChange {
  readonly userId: string;
  readonly connections: number;
}

/** A user whose connections on all replicas changed from or to none. */
export interface PresenceTransition {
  readonly userId: string;
  readonly event: 'join' | 'leave';
  readonly connections: number;
}

/** Who listens to what, on all replicas. Each replica writes its own counts only. */
export interface PresenceStore {
  /** Sets this replica's counts; resolves to the users for whom that was the first or the last connection in the cluster. */
  apply(topic: string, changes: readonly PresenceChange[]): Promise<PresenceTransition[]>;
  /** Connections per user, of live replicas. */
  read(topic: string): Promise<Map<string, number>>;
}
