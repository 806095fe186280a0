import type { IncomingMessage } from 'node:http';
import { Registry } from '../../primitives/registry.js';

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
  readonly places: number;
  readonly at: number;
}

/**
 * A client that joins sends its token right after the answer. A transport that has been open without it for this long, in milliseconds, is
 * closed if another client needs its place.
 */
const patienceMs = 1000;

/** A handshake takes one place for so many bytes of its head: its transport holds them until the client has joined. */
const bytesPerPlace = 2048;

/** The places of a client that has not joined. */
export function placesOf({ url = '', rawHeaders }: Pick<IncomingMessage, 'url' | 'rawHeaders'>): number {
  const bytes = rawHeaders.reduce((sum, text) => sum + text.length, url.length);
  return Math.max(1, Math.ceil(bytes / bytesPerPlace));
}

/**
 * Clients whose handshake was answered and that have not joined a namespace yet: nobody knows who they are. There is room for a limited
 * number, and for half of it from one address; one with a large head counts as several. When there is no more, the transports that have waited
 * longest make room: else a few addresses could lock everybody out.
 */
export class UnjoinedClients {
  private total = 0;
  private readonly byAddress = new Map<string, number>();
  /** The oldest first. */
  private readonly opened = new Registry<UnjoinedTransport>();
  private readonly details = new WeakMap<UnjoinedTransport, Opened>();
  private readonly limitPerAddress: number;

  constructor(
    private readonly dependencies: UnjoinedClientsDependencies,
    private readonly settings: UnjoinedClientsSettings,
  ) {
    this.limitPerAddress = Math.ceil(settings.limit / 2);
  }

  /** Whether one more may be answered. `address` is undefined for a client that is not limited by address. */
  hasRoom(address: string | undefined): boolean {
    return this.inTheWay(address) !== undefined;
  }

  /** To be called where there is room. Closes the transports that have to make it. */
  add(address: string | undefined, places = 1): void {
    for (const transport of this.inTheWay(address) ?? []) transport.close(true);
    this.change(address, places);
  }

  /** The client has gone before it had a transport. */
  remove(address: string | undefined, places = 1): void {
    this.change(address, -places);
  }

  /** The client has a transport now: {@link removeTransport} must follow when it joins or goes. */
  transportOpened(transport: UnjoinedTransport, address: string | undefined, places = 1): void {
    this.opened.add(transport);
    this.details.set(transport, { address, places, at: this.dependencies.now() });
  }

  /** The client of a transport has joined, or has gone. False if it had joined before. */
  removeTransport(transport: UnjoinedTransport): boolean {
    const details = this.details.get(transport);
    if (details === undefined) return false;
    this.details.delete(transport);
    this.opened.delete(transport);
    this.change(details.address, -details.places);
    return true;
  }

  /**
   * Those that have waited longest, as many as have to make room for one more: of the same address, if that has its share already. None where
   * there is room; undefined where there is too little.
   */
  private inTheWay(address: string | undefined): readonly UnjoinedTransport[] | undefined {
    const { limit } = this.settings;
    let excess = this.total + 1 - limit;
    let ownExcess = address === undefined ? 0 : (this.byAddress.get(address) ?? 0) + 1 - this.limitPerAddress;
    if (limit === 0 || (excess <= 0 && ownExcess <= 0)) return [];
    const before = this.dependencies.now() - patienceMs;
    const found: UnjoinedTransport[] = [];
    for (const transport of this.opened) {
      const { address: its, places, at } = this.details.get(transport)!;
      if (at > before) return undefined;
      if (ownExcess > 0 && its !== address) continue;
      found.push(transport);
      excess -= places;
      if (its === address) ownExcess -= places;
      if (excess <= 0 && ownExcess <= 0) return found;
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
