/** Number of connections of each user on each replica. */
export interface ConnectionCountStore {
  /** Sets the number of connections a user holds on this replica. Rejects while the store is unreachable. */
  set(userId: string, connections: number): Promise<void>;
  /**
   * Number of connections of the user on the other live replicas. It is read after all earlier writes of this
   * replica: of two replicas that write and then read, at least one sees both. Rejects while the store is
   * unreachable.
   */
  elsewhere(userId: string): Promise<number>;
  /** Replaces everything this replica has set. Rejects while the store is unreachable. */
  replace(connections: ReadonlyMap<string, number>): Promise<void>;
  /** Removes the numbers of this replica, if the store is reachable. */
  close(): Promise<void>;
}
