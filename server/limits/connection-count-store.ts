/** How many connections users hold on each replica. */
export interface ConnectionCountStore {
  /** Sets the number of connections a user holds on this replica. Rejects while the store cannot be reached. */
  set(userId: string, connections: number): Promise<void>;
  /**
   * How many the user holds on the other live replicas, after everything this replica has set before: of two replicas that set and then
   * look, at least one sees both. Rejects while the store cannot be reached.
   */
  elsewhere(userId: string): Promise<number>;
  /** Replaces everything this replica has set. Rejects while the store cannot be reached. */
  replace(connections: ReadonlyMap<string, number>): Promise<void>;
  /** Takes back what this replica has set, as far as the store can be reached. */
  close(): Promise<void>;
}
