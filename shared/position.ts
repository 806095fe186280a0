/**
 * A position in the log of one topic. Sequences are consecutive within an epoch. The epoch changes when the
 * log was lost, or may have lost its last messages.
 */
export interface Position {
  readonly epoch: string;
  /** Sequence of the last message received; 0 before the first one. */
  readonly sequence: number;
}

/** Positions by topic, as clients send them in `since` and `auth.positions`. */
export type Positions = Readonly<Record<string, Position>>;
