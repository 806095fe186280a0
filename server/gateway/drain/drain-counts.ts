/** What a drain has done with the clients of its replica. */
export interface DrainCounts {
  /** Clients that were moved: they were notified, got what was due, and their transports closed. */
  moved: number;
  /** Clients that were cut off: they did not close in time, or the drain was ended before their turn. */
  forced: number;
  /** Clients that are still to be moved. */
  remaining: number;
}
