/** Refusals by the quotas of users, since the start. */
export interface QuotaCounts {
  /** Publishes over the bytes per second of their connection. */
  connectionBytes: number;
  /** Publishes over the bytes per second of their user. */
  userBytes: number;
  /** Publishes over the bytes that their user may store. */
  storedBytes: number;
  /** Publishes over the topics that their user may create. */
  newTopics: number;
  /** Direct messages over the share of their sender in an inbox. */
  inboxShare: number;
  /** Direct messages to an inbox with as many messages as it may hold. */
  inboxFull: number;
  /** Publishes over the share of their user while the memory of the store is scarce. */
  memoryShare: number;
  /** Requests refused because only operators' changes are stored any more. */
  memoryReserved: number;
  /** Sessions dropped because their user had too many. */
  userSessions: number;
  /** Sessions dropped because all of them took too much memory, without Redis. */
  sessionMemory: number;
}

/** All zero. */
export function newQuotaCounts(): QuotaCounts {
  return {
    connectionBytes: 0,
    userBytes: 0,
    storedBytes: 0,
    newTopics: 0,
    inboxShare: 0,
    inboxFull: 0,
    memoryShare: 0,
    memoryReserved: 0,
    userSessions: 0,
    sessionMemory: 0,
  };
}
