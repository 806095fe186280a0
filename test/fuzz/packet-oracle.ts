import { Decoder, PacketType, type Packet } from 'socket.io-parser';

/** Answers that are awaited: how many, by acknowledgement id. */
export type Awaited = Map<number, number>;

/**
 * Tells by the stock parser which packets of a client are commands that have to be answered. `isBroken` is set
 * at the first packet that the parser refuses: after it the service may close the connection.
 */
export class PacketOracle {
  readonly awaited: Awaited = new Map();
  isBroken = false;
  /** The client has left the namespace, or asked to close. */
  hasLeft = false;
  private readonly decoder = new Decoder();

  constructor() {
    this.decoder.on('decoded', (packet: Packet) => this.onPacket(packet));
  }

  /** A packet of Engine.IO, as text. */
  add(packet: string): void {
    if (this.isBroken || this.hasLeft) return;
    if (packet.startsWith('4')) this.decode(packet.slice(1));
    else if (packet === '1') this.hasLeft = true;
    else if (packet !== '3' && packet !== '6') this.isBroken = true;
  }

  /** A binary part. */
  addBinary(bytes: Buffer): void {
    if (!this.isBroken && !this.hasLeft) this.decode(bytes);
  }

  private decode(data: unknown): void {
    try {
      this.decoder.add(data);
    } catch {
      this.isBroken = true;
    }
  }

  private onPacket({ type, nsp, id }: Packet): void {
    if (nsp !== '/') {
      // There is nobody at this address.
      if (type !== PacketType.CONNECT) this.isBroken = true;
      return;
    }
    if (type === PacketType.DISCONNECT) this.hasLeft = true;
    // Joining again without having left is refused by closing.
    else if (type === PacketType.CONNECT) this.isBroken = true;
    else if (type === PacketType.EVENT || type === PacketType.BINARY_EVENT) {
      if (id !== undefined && Number.isSafeInteger(id)) this.awaited.set(id, (this.awaited.get(id) ?? 0) + 1);
    } else if (type === PacketType.CONNECT_ERROR) this.isBroken = true;
  }
}

/** The ids among the awaited that these packets of the service do not answer. */
export function unanswered(awaited: Awaited, packets: readonly string[]): number[] {
  const left = new Map(awaited);
  for (const packet of packets) {
    const id = /^4[36](?:\d+-)?(\d+)\[/.exec(packet)?.[1];
    const times = id === undefined ? undefined : left.get(Number(id));
    if (times !== undefined) left.set(Number(id), times - 1);
  }
  return [...left].filter(([, times]) => times > 0).map(([id]) => id);
}
