interface UnjoinedClientsDependencies {
  /** Never goes back, in milliseconds. */
  readonly now: () => number;
}

interface UnjoinedClientsSettings {
  /** 0: no limit. */
  readonly limit: number;
}

/** A transport whose client has not joined. */
interface UnjoinedTransport {
  close(discard: boolean): unknown;
}

interface Opened {
  readonly address: string | undefined;
  readonly at: number;
}

/**
 * A client that joins sends its token right after the answer. A transport that has been open without it for this long, in milliseconds, is
 * closed if another client needs its place.
 */
const patienceMs = 1000;

/**
 * Clients whose handshake was answered and that have not joined a namespace yet: nobody knows who they are. There is room for a limited
 * number, and for half of it from one address. When there is no more, the transport that has waited longest makes room: else a few
 * addresses could lock everybody out.
 */
export class UnjoinedClients {
  private total = 0;
  private readonly byAddress = new Map<string, number>();
  /** The oldest first. */
  private readonly opened = new Map<UnjoinedTransport, Opened>();
  private readonly limitPerAddress: number;

  constructor(
    private readonly dependencies: UnjoinedClientsDependencies,
    private readonly settings: UnjoinedClientsSettings,
  ) {
    this.limitPerAddress = Math.ceil(settings.limit / 2);
  }

  /** Whether one more may be answered. `address` is undefined for a client that is not limited by address. */
  hasRoom(address: string | undefined): boolean {
    return this.isFree(address) || this.longestWaiting(address) !== undefined;
  }

  /** To be called where there is room. Closes a transport if one has to make it. */
  add(address: string | undefined): void {
    if (!this.isFree(address)) this.longestWaiting(address)?.close(true);
    this.change(address, 1);
  }

  /** The client has gone before it had a transport. */
  remove(address: string | undefined): void {
    this.change(address, -1);
  }

  /** The client has a transport now: {@link removeTransport} must follow when it joins or goes. */
  transportOpened(transport: UnjoinedTransport, address: string | undefined): void {
    this.opened.set(transport, { address, at: this.dependencies.now() });
  }

  /** The client of a transport has joined, or has gone. False if it had joined before. */
  removeTransport(transport: UnjoinedTransport): boolean {
    const opened = this.opened.get(transport);
    if (opened === undefined) return false;
    this.opened.delete(transport);
    this.change(opened.address, -1);
    return true;
  }

  private isFree(address: string | undefined): boolean {
    const { limit } = this.settings;
    return limit === 0 || (this.total < limit && !this.isAddressFull(address));
  }

  private isAddressFull(address: string | undefined): boolean {
    return address !== undefined && (this.byAddress.get(address) ?? 0) >= this.limitPerAddress;
  }

  /** The transport that can make room: one of the same address, if that has its share already. */
  private longestWaiting(address: string | undefined): UnjoinedTransport | undefined {
    const before = this.dependencies.now() - patienceMs;
    const mustBeOwn = this.isAddressFull(address);
    for (const [transport, { address: its, at }] of this.opened) {
      if (at > before) return undefined;
      if (!mustBeOwn || its === address) return transport;
    }
    return undefined;
  }

  private change(address: string | undefined, by: number): void {
    this.total += by;
    if (address === undefined) return;
    const clients = (this.byAddress.get(address) ?? 0) + by;
    if (clients > 0) this.byAddress.set(address, clients);
    else this.byAddress.delete(address);
  }
}
