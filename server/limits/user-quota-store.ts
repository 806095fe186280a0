/** What a user has used of a quota in the present window and in the one before it. */
export interface QuotaUse {
  readonly current: number;
  readonly previous: number;
  /** Age of the present window, in milliseconds. */
  readonly ageMs: number;
}

/** The use of quotas by users on all replicas together. */
export interface UserQuotaStore {
  /**
   * Adds to the use of a user (a negative amount is given back), and returns what all replicas have added. Rejects while the store is
   * unreachable or full.
   */
  add(quota: string, userId: string, amount: number, windowMs: number): Promise<QuotaUse>;
}
