/** One grant to a user. */
export interface Grant {
  /** Commands that may be run; from 0 to what was wanted. */
  readonly granted: number;
  /** Milliseconds until more can be granted, if `granted` is less than wanted; else 0. */
  readonly retryAfterMs: number;
}

/** Length of one slot of a user's window, in milliseconds. */
export const rateSlotMs = 100;

/** Slots of a user's window: together one second. */
export const rateSlots = 10;

/**
 * Counts the commands of users on all replicas together, in a sliding window: at most `ratePerSec` are
 * granted in any ten consecutive slots of 100 ms. A second that does not begin with a slot touches eleven
 * slots, so it may contain one slot more.
 */
export interface UserRateStore {
  /**
   * Takes up to `want` commands. Rejects while the store is unreachable; the rejection says nothing about the
   * rate.
   */
  take(userId: string, ratePerSec: number, want: number): Promise<Grant>;
}
