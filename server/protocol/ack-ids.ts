/** Acknowledgement ids stay below this: clients in Java and Rust drop a packet with a greater one, and the C++ client ends its process. */
export const ackIdEnd = 2 ** 31;

/** Ids below this are counted by Socket.IO, for packets to one socket and for its own broadcasts; those from it on are ours. */
export const firstSharedAckId = 2 ** 30;

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
