/**
 * A place in the log of one topic. Sequences are consecutive within an epoch; the epoch changes when the log was
 * lost, or when it may have lost its tail.
 */
export interface Position {
  readonly epoch: string;
  /** Sequence of the last message seen; 0 before the first one. */
  readonly sequence: number;
}

/** Positions by topic, as clients send them in `since` and `auth.positions`. */
export type Positions = Readonly<Record<string, Position>>;
