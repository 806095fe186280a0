import type { Socket } from 'node:net';
import { Registry } from '../../primitives/registry.js';

/** What the unfinished heads of one address, and those of all addresses, may hold. */
const addressBytes = 2 * 2 ** 20;
const totalBytes = 16 * 2 ** 20;
/** What a head counts for beside its bytes: Node makes an object of each name and value. */
const bytesBeside = 2048;

interface Head {
  readonly socket: Socket;
  readonly key: string;
  bytes: number;
}

/** The heads of one address. */
interface AddressHeads {
  readonly heads: Registry<Head>;
  bytes: number;
}

/**
 * What Node keeps of the heads of requests, and of the trailers behind their bodies, that have not arrived completely. An honest one is complete within one chunk, or a few
 * milliseconds; nobody needs many that are not.
 */
export class UnfinishedHeads {
  static readonly addressBytes = addressBytes;
  private readonly bySocket = new WeakMap<Socket, Head>();
  private readonly byAddress = new Map<string, AddressHeads>();
  private total = 0;

  /** So many bytes have arrived of a head. Returns the connection that is to be closed for it: the one whose head is the largest. */
  grown(socket: Socket, key: string, bytes: number): Socket | undefined {
    const head = this.bySocket.get(socket) ?? this.begun(socket, key);
    const address = this.byAddress.get(key)!;
    const more = bytes + bytesBeside - head.bytes;
    head.bytes += more;
    address.bytes += more;
    this.total += more;
    if (address.bytes > addressBytes) return largestOf(address);
    return this.total > totalBytes ? largestOf(this.fullest()) : undefined;
  }

  /** The head of a connection is complete, or the connection is closed. */
  delete(socket: Socket): void {
    const head = this.bySocket.get(socket);
    if (head === undefined) return;
    this.bySocket.delete(socket);
    const address = this.byAddress.get(head.key)!;
    address.heads.delete(head);
    address.bytes -= head.bytes;
    this.total -= head.bytes;
    if (address.heads.size === 0) this.byAddress.delete(head.key);
  }

  private begun(socket: Socket, key: string): Head {
    const head: Head = { socket, key, bytes: 0 };
    this.bySocket.set(socket, head);
    let address = this.byAddress.get(key);
    if (address === undefined) this.byAddress.set(key, (address = { heads: new Registry(), bytes: 0 }));
    address.heads.add(head);
    return head;
  }

  private fullest(): AddressHeads {
    return [...this.byAddress.values()].reduce((most, one) => (one.bytes > most.bytes ? one : most));
  }
}

/** Of several, the newest: what has lived for long is in the old generation of the heap, and stays there for a while. */
function largestOf({ heads }: AddressHeads): Socket {
  return [...heads].reduce((largest, head) => (head.bytes >= largest.bytes ? head : largest)).socket;
}
