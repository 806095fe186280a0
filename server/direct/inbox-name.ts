/**
 * Prefix of the logs that hold the direct messages of users; the user id follows. Clients cannot use these
 * topic names.
 */
export const inboxPrefix = '$user/';

/** The log that holds the direct messages of a user. */
export function inboxOf(userId: string): string {
  return inboxPrefix + encodeURIComponent(userId);
}
