import type { Server as SocketIoServer } from 'socket.io';

const prefix = 'presence:';

/** The rooms of the connections that receive the presence events of a topic. */
export class PresenceRooms {
  constructor(private readonly io: SocketIoServer) {}

  readonly watch = ({ id }: { readonly id: string }, topic: string): void =>
    void this.io.of('/').sockets.get(id)?.join(roomOf(topic));

  readonly unwatch = ({ id }: { readonly id: string }, topic: string): void =>
    void this.io.of('/').sockets.get(id)?.leave(roomOf(topic));

  readonly watchedBy = ({ id }: { readonly id: string }): string[] =>
    [...(this.io.of('/').adapter.sids.get(id) ?? [])]
      .filter((room) => room.startsWith(prefix))
      .map((room) => room.slice(prefix.length));

  /** Notifies of topics that get their first watcher on this replica, and of those that lose their last one. */
  follow(listener: { watched(topic: string): void; unwatched(topic: string): void }): void {
    const { adapter } = this.io.of('/');
    const on = (event: string, notify: (topic: string) => void) =>
      adapter.on(event, (room: string) => {
        if (room.startsWith(prefix)) notify(room.slice(prefix.length));
      });
    on('create-room', (topic) => listener.watched(topic));
    on('delete-room', (topic) => listener.unwatched(topic));
  }

  /** Sends an event to those connections on this replica. */
  readonly notify = (topic: string, event: object): void =>
    void this.io.local.to(roomOf(topic)).emit('presence', event);
}

function roomOf(topic: string): string {
  return prefix + topic;
}
