import { escapeUnseen } from '../../logging/log-text.js';
import type { ConnectionInfo } from '../connections/connection-operations.js';

/** A socket as the Socket.IO Admin UI shows it. Its rooms are the topics, and its own one. */
export interface ListedSocket {
  readonly id: string;
  readonly clientId: string;
  readonly transport: string;
  readonly nsp: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly handshake: Readonly<Record<string, unknown>>;
  readonly rooms: readonly string[];
}

/** The only namespace that is shown: clients of topics are in it, on both wires. */
export const shownNamespace = '/';

/** A connection as the UI shows a socket. Of its handshake only what the service keeps: no header, and no token. */
export function listedSocket(connection: ConnectionInfo): ListedSocket {
  const { connection_id: id, connected_at: connectedAt, topics } = connection;
  return {
    id,
    clientId: id,
    transport: connection.transport ?? 'websocket',
    nsp: shownNamespace,
    data: {
      // The page shows the text as it is.
      user_id: escapeUnseen(connection.user_id),
      roles: connection.roles.map(escapeUnseen),
      wire: connection.wire,
      replica_id: connection.replica_id,
      session_id: connection.session_id,
      waiting_bytes: connection.waiting_bytes,
    },
    handshake: {
      address: escapeUnseen(connection.address),
      headers: {},
      query: {},
      issued: connectedAt,
      time: new Date(connectedAt).toISOString(),
      secure: false,
      xdomain: false,
      url: connection.wire === 'json' ? '/ws' : '/socket.io/',
    },
    rooms: [id, ...Object.keys(topics)],
  };
}
