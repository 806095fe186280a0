import type { Namespace, Socket } from 'socket.io';
import { firstSharedAckId } from '../../protocol/ack-ids.js';

/** Socket.IO's counter of acknowledgement ids, one for each namespace. */
interface AckCounter {
  _ids: number;
}

/** The part of a `Map` that Socket.IO and its adapter use of a socket's table of awaited acknowledgements. */
export interface AckTable {
  get(id: number): ((...args: unknown[]) => void) | undefined;
  set(id: number, onAck: (...args: unknown[]) => void): unknown;
  delete(id: number): boolean;
}

/** The acknowledgements that a socket awaits, by packet id. */
export function acksOf(socket: Socket): AckTable {
  return (socket as unknown as { readonly acks: AckTable }).acks;
}

/**
 * Restarts Socket.IO's counter of a namespace at 0 when it reaches {@link firstSharedAckId}; Socket.IO itself
 * never restarts it. An acknowledgement that an embedding program has awaited for that many packets is no
 * longer awaited then.
 */
export function wrapSocketIoAckIds(namespace: Namespace): void {
  const counter = namespace as unknown as AckCounter;
  let next = counter._ids;
  Object.defineProperty(counter, '_ids', {
    configurable: true,
    enumerable: true,
    get: () => next,
    set: (id: number) => {
      next = id < firstSharedAckId ? id : 0;
    },
  });
}
