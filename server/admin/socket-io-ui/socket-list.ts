import { shownNamespace, type ListedSocket } from './listed-socket.js';

/** An event for the UI, with its arguments. */
export type UiEvent = readonly [name: string, ...args: unknown[]];

interface Known {
  readonly socket: ListedSocket;
  readonly replica: string;
}

/** The sockets that were last listed, and what has changed since. */
export class SocketList {
  private known = new Map<string, Known>();

  get size(): number {
    return this.known.size;
  }

  all(): ListedSocket[] {
    return [...this.known.values()].map(({ socket }) => socket);
  }

  /**
   * Replaces the list. Sockets of replicas that have not answered stay as they were: that they are gone is not known.
   *
   * @param at when it was listed, as ISO 8601
   */
  update(
    listed: readonly Known[],
    unresponsive: readonly string[],
    limit: number,
    at: string,
  ): readonly UiEvent[] {
    const next = new Map(listed.map((one) => [one.socket.id, one]));
    for (const [id, one] of this.known)
      if (next.size < limit && unresponsive.includes(one.replica) && !next.has(id)) next.set(id, one);
    const before = this.known;
    this.known = next;
    const events: UiEvent[] = [];
    for (const [id, { socket }] of next) {
      const former = before.get(id)?.socket;
      if (former === undefined) events.push(['socket_connected', socket, at]);
      else if (former !== socket) events.push(...changes(former, socket, at));
    }
    for (const id of before.keys())
      if (!next.has(id)) events.push(['socket_disconnected', shownNamespace, id, 'no longer listed', at]);
    return events;
  }
}

function changes(former: ListedSocket, { id, rooms, transport, data }: ListedSocket, at: string): UiEvent[] {
  const before = new Set(former.rooms);
  const after = new Set(rooms);
  const isUpdated = former.transport !== transport || JSON.stringify(former.data) !== JSON.stringify(data);
  return [
    ...rooms
      .filter((room) => !before.has(room))
      .map((room): UiEvent => ['room_joined', shownNamespace, room, id, at]),
    ...former.rooms
      .filter((room) => !after.has(room))
      .map((room): UiEvent => ['room_left', shownNamespace, room, id, at]),
    ...(isUpdated ? [['socket_updated', { id, nsp: shownNamespace, transport, data }] as UiEvent] : []),
  ];
}
