/**
 * Prefix of the logs that hold the direct messages of users; the user id follows. Clients cannot use these
 * topic names.
 */
export const inboxPrefix = '$user/';
