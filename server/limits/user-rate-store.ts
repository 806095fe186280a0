/** What a user is granted at one time. */
export interface Grant {
  /** Commands that may be run; from 0 to what was wanted. */
  readonly granted: number;
  /** If less was granted than wanted: milliseconds after which there is more; else 0. */
  readonly retryAfterMs: number;
}

/** Length of one slot of a user's window, in milliseconds. */
export const rateSlotMs = 100;

/** Slots of a user's window: together one second. */
export const rateSlots = 10;

/**
 * Counts the commands of users, all replicas together, in a sliding window: in any ten consecutive slots of 100 ms at most `ratePerSec` are
 * granted. A second that does not begin with a slot touches eleven, so it may see one slot more.
 */
export interface UserRateStore {
  /** Takes up to `want` commands. Rejects while the store cannot be reached; nothing may be concluded then. */
  take(userId: string, ratePerSec: number, want: number): Promise<Grant>;
}
