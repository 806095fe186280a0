/** A message between replicas. `data` is anything JSON can hold. */
export type BusHandler = (data: unknown, from: string) => void;

/**
 * Small messages between replicas: confirmations, operator commands, revocations. They are not ordered
 * relative to topics and are delivered at most once; a caller that needs certainty asks again. The memory
 * driver has no peers.
 */
export interface Bus {
  /** Id of this replica, unique among the live ones. */
  readonly replicaId: string;
  /** Sets the handler of a kind; there is one per kind. An error of the handler is logged, not thrown. */
  on(kind: string, handler: BusHandler): void;
  /**
   * Sends to one replica; a message to this replica itself is delivered directly. Lost while Redis is
   * unreachable.
   */
  send(replicaId: string, kind: string, data: unknown): void;
  /**
   * As {@link send}. Resolves to false if certainly nobody has received it: the replica has ended, or its subscription is interrupted;
   * undefined: it is not known, because Redis is unreachable. Never rejects.
   */
  reach(replicaId: string, kind: string, data: unknown): Promise<boolean | undefined>;
  /** Sends to every other replica. */
  broadcast(kind: string, data: unknown): void;
  /** Live replicas, this one included. While Redis is unreachable: the last known list. */
  replicas(): Promise<string[]>;
  /** Live replicas, certainly as they are now; undefined if that is not known, because Redis is unreachable. */
  liveReplicas(): Promise<string[] | undefined>;
  close(): Promise<void>;
}
