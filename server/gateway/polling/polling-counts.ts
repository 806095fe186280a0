/** What happened to requests of long-polling that came to a replica without their transport, since the start. */
export interface PollingCounts {
  /** Requests passed on to the replica that holds the transport. */
  forwarded: number;
  /** Requests of other replicas served here. */
  served: number;
  /** Forwarded requests whose owner had ended, or was out of reach. */
  failed: number;
  /** Upgrades to WebSocket refused because another replica holds the transport. */
  upgradesRefused: number;
}

export function newPollingCounts(): PollingCounts {
  return { forwarded: 0, served: 0, failed: 0, upgradesRefused: 0 };
}
