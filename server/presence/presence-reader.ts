/** Who listens to a topic, on all replicas. */
export interface PresenceAnswer {
  users: { user_id: string; connections: number }[];
  count: number;
  /** Present when not all replicas could be asked. */
  partial?: true;
}

/** Knows who listens. */
export interface PresenceReader {
  of(topic: string): Promise<PresenceAnswer>;
}
