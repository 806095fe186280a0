/** Which part of the users of a topic is read. */
export interface PresencePageRequest {
  /** From an earlier answer; undefined: from the beginning. */
  readonly cursor?: string;
  /** Number of users, about. */
  readonly limit: number;
  /** Bytes of the answer, about. */
  readonly bytes: number;
}

/** A page of the users subscribed to a topic, on all replicas. */
export interface PresenceAnswer {
  users: { user_id: string; connections: number }[];
  /** Number of all users, also those of other pages. */
  count: number;
  /** Set if not all replicas could be read. */
  partial?: true;
  /** Set if there are further users. */
  truncated?: true;
  /** Continues the list: a field of the next request. */
  next?: { cursor: string };
}

/** Reads presence. */
export interface PresenceReader {
  of(topic: string, page: PresencePageRequest): Promise<PresenceAnswer>;
}
