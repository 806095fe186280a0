/** The users subscribed to a topic, on all replicas. */
export interface PresenceAnswer {
  users: { user_id: string; connections: number }[];
  count: number;
  /** Present when not all replicas could be asked. */
  partial?: true;
}

/** Reads presence. */
export interface PresenceReader {
  of(topic: string): Promise<PresenceAnswer>;
}
