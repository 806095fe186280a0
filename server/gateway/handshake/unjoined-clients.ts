interface UnjoinedClientsSettings {
  /** 0: no limit. */
  readonly limit: number;
}

/**
 * Clients whose handshake was answered and that have not joined a namespace yet: nobody knows who they are. There is room for a limited
 * number, and for half of it from one address.
 */
export class UnjoinedClients {
  private total = 0;
  private readonly byAddress = new Map<string, number>();
  private readonly limitPerAddress: number;

  constructor(private readonly settings: UnjoinedClientsSettings) {
    this.limitPerAddress = Math.ceil(settings.limit / 2);
  }

  /** Whether one more may be answered. `address` is undefined for a client that is not limited by address. */
  hasRoom(address: string | undefined): boolean {
    const { limit } = this.settings;
    if (limit === 0) return true;
    if (this.total >= limit) return false;
    return address === undefined || (this.byAddress.get(address) ?? 0) < this.limitPerAddress;
  }

  add(address: string | undefined): void {
    this.change(address, 1);
  }

  /** The client has joined, or has gone. */
  remove(address: string | undefined): void {
    this.change(address, -1);
  }

  private change(address: string | undefined, by: number): void {
    this.total += by;
    if (address === undefined) return;
    const clients = (this.byAddress.get(address) ?? 0) + by;
    if (clients > 0) this.byAddress.set(address, clients);
    else this.byAddress.delete(address);
  }
}
