/** Why a WebSocket is closed: a close code (RFC 6455, 7.4.1, and its registry) and a text for people. */
export type CloseReason = readonly [code: number, text: string];

/** Close frames of the service. None is empty: some clients wait after an empty one until the TCP connection ends. */
export const closeReasons = {
  /** Disconnected for good, as `io server disconnect` of Socket.IO: the client is not asked to come back. */
  disconnected: [1000, 'disconnected by the service'],
  /** Refused after the upgrade; an `Error` frame says why. */
  refused: [1008, 'refused'],
  /** The client sent a frame above `websocket.transport_limit_bytes`. */
  tooLarge: (limitBytes: number): CloseReason => [1009, `a frame may have at most ${limitBytes} bytes`],
  /** The client should connect again, to another replica. */
  shuttingDown: [1012, 'the replica is shutting down'],
} as const satisfies Readonly<Record<string, CloseReason | ((limit: number) => CloseReason)>>;

/** How long a client has to answer a close frame, in milliseconds. */
export const closeTimeoutMs = 1000;
