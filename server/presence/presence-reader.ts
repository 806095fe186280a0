/** The users subscribed to a topic, on all replicas. */
export interface PresenceAnswer {
  users: { user_id: string; connections: number }[];
  count: number;
  /** Set if not all replicas could be read. */
  partial?: true;
}

/** Reads presence. */
export interface PresenceReader {
  of(topic: string): Promise<PresenceAnswer>;
}
