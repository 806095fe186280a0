/** Time between two handshakes of addresses that are over their shares, in milliseconds. */
const spacingMs = 25;

interface HandshakesOverShareDependencies {
  /** On the monotonic clock, in milliseconds. */
  readonly now: () => number;
  /** Whether an address has more than its share of unfinished messages, with those that were thrown away a moment ago. */
  readonly isOver: (address: string) => boolean;
}

/**
 * Lets the handshakes of addresses that are over their shares of unfinished messages come one after the other. Clients that send as much as they may
 * before they join, are closed for it and come again, make garbage with each connection.
 */
export class HandshakesOverShare {
  private nextAt = -Infinity;

  constructor(private readonly dependencies: HandshakesOverShareDependencies) {}

  /** Whether a handshake of an address may be served now. */
  hasTurn(address: string): boolean {
    const { now, isOver } = this.dependencies;
    return now() >= this.nextAt || !isOver(address);
  }

  /** A handshake of an address is served. */
  served(address: string): void {
    const { now, isOver } = this.dependencies;
    if (isOver(address)) this.nextAt = now() + spacingMs;
  }
}
