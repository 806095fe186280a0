/** Names of the logs that hold the direct messages of users: the prefix and the user id. Clients cannot name these topics. */
export const inboxPrefix = '$user/';
