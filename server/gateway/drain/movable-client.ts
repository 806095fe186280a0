/** A client as a drain moves it. Each call may come when it has closed by itself, and then does nothing. */
export interface MovableClient {
  /** Whether its transport has closed. */
  readonly isClosed: boolean;
  /** Whether its commands are answered, and everything written has left this process. */
  readonly isServed: boolean;
  /** Time for the client to answer the close of its transport, in milliseconds. */
  readonly closeLimitMs: number;
  /** Notifies the client that its transport is going to close. */
  notify(closesInMs: number): void;
  /** From now on its commands are refused; those under way are answered. */
  refuseCommands(): void;
  /** Saves what is its own, and closes the transport behind everything written. */
  close(): void;
  /** Ends the transport without its client. */
  cutOff(): void;
}
