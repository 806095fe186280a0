/** Refusals and other decisions of the limits, since the start. */
export interface LimitCounts {
  /** Commands over the rate of their connection. */
  connection: number;
  /** Commands over the rate of their user. */
  user: number;
  /** Handshakes over the rate or the number of connections of their address. */
  address: number;
  /** Connections over the limit of their user. */
  userConnections: number;
  /** Requests to `/api` over the rate of their caller. */
  http: number;
  /** Requests refused because too many bodies were unfinished. */
  bodies: number;
  /** TCP connections closed at once: too many of one address, or of the replica. */
  tcp: number;
  /** Connections closed because of too many refusals. */
  abuseDisconnects: number;
  /** Decisions made without Redis, because it was unreachable. */
  localFallbacks: number;
  /** Grants requested from the store of user rates. */
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
    bodies: 0,
    tcp: 0,
    abuseDisconnects: 0,
    localFallbacks: 0,
    refills: 0,
  };
}
