import type { Namespace } from 'socket.io';

/** Acknowledgement ids stay below this: clients in Java and Rust drop a packet with a greater one, and the C++ client ends its process. */
export const ackIdEnd = 2 ** 31;

/** Ids below this are counted by Socket.IO, for packets to one socket and for its own broadcasts; those from it on are ours. */
export const firstSharedAckId = 2 ** 30;

/** Socket.IO's own counter of acknowledgement ids, one for each namespace. */
interface AckCounter {
  _ids: number;
}

/**
 * Makes Socket.IO's counter of a namespace begin again at 0 when it reaches {@link firstSharedAckId}; by itself it counts on for ever. An
 * acknowledgement that an embedding program has awaited for that many packets is given up then.
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

/** The id that Socket.IO will give to the next packet of the namespace; moved on past ids that `isAwaited`. */
export function nextSocketIoAckId(namespace: Namespace, isAwaited: (id: number) => boolean): number {
  const counter = namespace as unknown as AckCounter;
  while (isAwaited(counter._ids)) counter._ids++;
  return counter._ids;
}

/** Ids of packets that are written to many connections at once. They wrap within their half of the ids. */
export class SharedAckIds {
  /** @param next the first one to give */
  constructor(private next = firstSharedAckId) {}

  /** The next id that is not awaited any more. */
  take(isAwaited: (id: number) => boolean): number {
    let id: number;
    do {
      id = this.next;
      this.next = id + 1 < ackIdEnd ? id + 1 : firstSharedAckId;
    } while (isAwaited(id));
    return id;
  }
}
