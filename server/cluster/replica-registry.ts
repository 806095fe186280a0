/** The replicas at one heartbeat. */
export interface Heartbeat {
  /**
   * False at the first heartbeat, and if this replica had lost its lease or the store had lost it: other replicas may
   * have removed what this one had written.
   */
  readonly isSteady: boolean;
  /** Replicas with a lease, this one included. */
  readonly live: readonly string[];
  /** Live replicas of version 0.1, which keep no record. */
  readonly unrecorded: readonly string[];
  /** Replicas whose lease has ended: what they have left behind is still to be removed. */
  readonly departed: readonly string[];
}

/** A replica that has the configured name already, and may be alive. */
export interface NameHolder {
  readonly id: string;
  /** Time of its last heartbeat, by the clock of the store. */
  readonly beatAt: string;
}

/**
 * The replicas of the cluster. Each has a lease in the store and renews it with a heartbeat; a lease that is not
 * renewed ends, by the clock of the store.
 */
export interface ReplicaRegistry {
  readonly replicaId: string;
  /** Length of a lease, in milliseconds. */
  readonly leaseMs: number;
  /** The result of the last heartbeat; while the store is unreachable it stays. */
  readonly latest: Heartbeat;
  /** Called after each heartbeat. */
  onBeat(listener: (beat: Heartbeat) => void): void;
  /** Sends a heartbeat now. Resolves to whether {@link latest} is of now; false: the store is unreachable. Never rejects. */
  beat(): Promise<boolean>;
}
