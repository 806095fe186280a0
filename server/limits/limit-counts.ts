/** What the limits refused and did, since the start. */
export interface LimitCounts {
  /** Commands over the rate of their connection. */
  connection: number;
  /** Commands over the rate of their user. */
  user: number;
  /** Handshakes over the rate or the number of connections of their address. */
  address: number;
  /** Connections over the number that their user may hold. */
  userConnections: number;
  /** Requests to `/api` over the rate of their caller. */
  http: number;
  /** Connections closed because they went on after too many refusals. */
  abuseDisconnects: number;
  /** Decisions made by this replica alone because Redis was away. */
  localFallbacks: number;
  /** Grants asked of the store of user rates. */
  refills: number;
}

/** All zero. */
export function newLimitCounts(): LimitCounts {
  return {
    connection: 0,
    user: 0,
    address: 0,
    userConnections: 0,
    http: 0,
    abuseDisconnects: 0,
    localFallbacks: 0,
    refills: 0,
  };
}
