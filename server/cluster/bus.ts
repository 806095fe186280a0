/** A message between replicas. `data` is anything JSON can hold. */
export type BusHandler = (data: unknown, from: string) => void;

/**
 * Small messages between replicas: confirmations, operator commands, revocations. Not ordered against topics, delivered at most once;
 * whoever needs certainty asks again. The memory driver has no peers.
 */
export interface Bus {
  /** Identity of this replica, unique among the live ones. */
  readonly replicaId: string;
  /** Sets the one handler of a kind. A handler's error is logged, never thrown on. */
  on(kind: string, handler: BusHandler): void;
  /** To one replica; to itself it is delivered directly. Lost if Redis is down. */
  send(replicaId: string, kind: string, data: unknown): void;
  /** To every replica but this one. */
  broadcast(kind: string, data: unknown): void;
  /** Live replicas, this one included. Answers from the last known list when Redis is down. */
  replicas(): Promise<string[]>;
  close(): Promise<void>;
}
