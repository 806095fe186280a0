/** Reason for closing a WebSocket: a close code (RFC 6455, 7.4.1, and its registry) and a readable text. */
export type CloseReason = readonly [code: number, text: string];

/**
 * Close frames of the service. Each has a code: after a frame without one, some clients wait until the TCP
 * connection ends.
 */
export const closeReasons = {
  /** A final disconnect, like `io server disconnect` of Socket.IO: the client should not reconnect. */
  disconnected: [1000, 'disconnected by the service'],
  /** Refused after the upgrade; an `Error` frame gives the reason. */
  refused: [1008, 'refused'],
  /** The client sent what no limit allows. The text names the limit; a close frame has room for 123 bytes. */
  overLimit: (text: string): CloseReason => [1008, text.slice(0, 120)],
  /** The client sent a frame above `websocket.transport_limit_bytes`. */
  tooLarge: (limitBytes: number): CloseReason => [1009, `a frame may have at most ${limitBytes} bytes`],
  /** A frame of the client came in too many chunks of bytes. */
  tooManyPieces: (limit: number): CloseReason => [1008, `a frame may come in at most ${limit} pieces`],
  /** The client is moved: it should connect again, to another replica. */
  draining: [1012, 'the replica is draining: connect again now'],
  /** The client should connect again, to another replica. */
  shuttingDown: [1012, 'the replica is shutting down'],
} as const satisfies Readonly<Record<string, CloseReason | ((limit: never) => CloseReason)>>;

/** Time limit for a client's answer to a close frame, in milliseconds. */
export const closeTimeoutMs = 1000;

/**
 * Time limit for the next poll of a long-polling client that is told the end, in milliseconds. It is longer, because a distant client takes a
 * while between two polls.
 */
export const pollingCloseTimeoutMs = 5000;

/**
 * A transport whose client has left every namespace is closed after this time, in milliseconds, unless the client joins again: clients that
 * do so send both packets one after the other.
 */
export const leftTransportMs = 2000;

/** Time for a client to read what was written before its transport is closed, in milliseconds. */
export const closeReadLimitMs = 5000;
