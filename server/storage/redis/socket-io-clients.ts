/** What `@socket.io/redis-adapter` publishes and subscribes by. Neither of the two ever rejects. */
export interface SocketIoClients {
  /** They are made for the sharded adapter. */
  readonly isSharded: boolean;
  readonly failures: number;
  /** The user of Redis may not subscribe to what the adapter listens to: what is sent by it reaches the clients of this replica only. */
  readonly isDenied: boolean;
  readonly publisher: object;
  readonly subscriber: object;
  start(): void;
  close(): Promise<void>;
}

/**
 * What `PUBSUB NUMSUB`, the one command of the adapter, is answered with where Redis does not answer: no
 * number. The adapter then waits for replies until its time-out and reports that to the caller. A rejection
 * would reach nobody: a broadcast leaves that promise to itself, and a server-side event would never be
 * answered.
 */
export const unknownCount: readonly string[] = ['', 'unknown'];
