import type { Namespace } from 'socket.io';
import type { Connection } from '../protocol/connection.js';
import type { ClientConnection } from './client-connection.js';
import { joinedNamespaces } from './engine-internals/namespaces.js';
import { LeftConnection } from './left-connection.js';
import type { Audience } from '../fanout/subscriber.js';

/** Prefix of topic rooms, so that no topic has the name of a connection's own room. */
const roomPrefix = 'topic:';

/** The Socket.IO room of a topic. */
export function roomOf(topic: string): string {
  return roomPrefix + topic;
}

/** Receives changes of topic rooms. */
interface RoomListener {
  onRoomCreated(topic: string): void;
  onRoomDeleted(topic: string): void;
  onJoined(topic: string, id: string): void;
  onLeft(topic: string, id: string): void;
}

/**
 * The connections of this replica and their rooms. The rooms are those of Socket.IO: there is no second
 * index.
 */
export class ConnectionRegistry implements Audience {
  private readonly connections = new Map<string, ClientConnection>();
  /** By transport, clients that have left and go on in another namespace. */
  private readonly left = new Map<object, LeftConnection>();

  /** Subscriptions of all connections together. */
  subscriptions = 0;

  constructor(private readonly namespace: Namespace) {}

  get size(): number {
    return this.connections.size;
  }

  add(connection: ClientConnection): void {
    this.connections.set(connection.id, connection);
    const { conn } = connection.socket;
    if (this.left.delete(conn)) conn.off('close', this.onTransportClosed);
  }

  /** Removes a connection that has left. */
  delete(connection: ClientConnection): void {
    this.connections.delete(connection.id);
    const { conn } = connection.socket;
    if (conn.readyState !== 'open' || joinedNamespaces(connection.socket) === 0) return;
    this.left.set(conn, new LeftConnection(connection));
    conn.once('close', this.onTransportClosed);
  }

  // One listener shared by all transports; `this` is the transport.
  private readonly onTransportClosed = ((left: Map<object, LeftConnection>) =>
    function (this: object): void {
      left.delete(this);
    })(this.left);

  /** The connections, and the clients that have left and go on in another namespace: those whose token has to stay valid. */
  *authenticated(): Iterable<Connection> {
    yield* this.connections.values();
    yield* this.left.values();
  }

  all(): Iterable<ClientConnection> {
    return this.connections.values();
  }

  connection(id: string): ClientConnection | undefined {
    return this.connections.get(id);
  }

  members(topic: string): ReadonlySet<string> | undefined {
    return this.namespace.adapter.rooms.get(roomPrefix + topic);
  }

  *topicsOf(id: string): Iterable<string> {
    for (const room of this.namespace.adapter.sids.get(id) ?? []) {
      if (room.startsWith(roomPrefix)) yield room.slice(roomPrefix.length);
    }
  }

  join(id: string, topic: string): void {
    void this.namespace.sockets.get(id)?.join(roomPrefix + topic);
  }

  leave(id: string, topic: string): void {
    void this.namespace.sockets.get(id)?.leave(roomPrefix + topic);
  }

  /** Notifies a listener of changes of topic rooms. */
  follow(listener: RoomListener): void {
    const { adapter } = this.namespace;
    const topicOf = (room: string) =>
      room.startsWith(roomPrefix) ? room.slice(roomPrefix.length) : undefined;
    const on = (event: string, notify: (topic: string, id: string) => void) =>
      adapter.on(event, (room: string, id: string) => {
        const topic = topicOf(room);
        if (topic !== undefined) notify(topic, id);
      });
    on('create-room', (topic) => listener.onRoomCreated(topic));
    on('delete-room', (topic) => listener.onRoomDeleted(topic));
    on('join-room', (topic, id) => {
      this.subscriptions++;
      listener.onJoined(topic, id);
    });
    on('leave-room', (topic, id) => {
      this.subscriptions--;
      listener.onLeft(topic, id);
    });
  }
}
