import type { Server, Socket } from 'socket.io';

/** What this service uses of Socket.IO's client object, which connects a transport with its sockets. */
interface SocketClient {
  /** Sockets by namespace. */
  readonly nsps: { readonly size: number; values(): Iterable<Socket> };
  close(): void;
}

/** Number of the namespaces that are joined on the transport of a socket. */
export function joinedNamespaces(socket: Socket): number {
  return clientOf(socket).nsps.size;
}

/** Closes the transport of a socket: its sockets in all namespaces are disconnected. */
export function closeTransport(socket: Socket): void {
  clientOf(socket).close();
}

/** Closes the transport of a socket that was disconnected, if no other namespace uses it. */
export function closeIfUnused(socket: Socket): void {
  if (joinedNamespaces(socket) === 0) closeTransport(socket);
}

/** The sockets of a transport in all namespaces, of which one is given. */
export function socketsBeside(socket: Socket): Iterable<Socket> {
  return clientOf(socket).nsps.values();
}

/** Whether a program has namespaces of its own. */
export function hasOwnNamespaces(io: Server): boolean {
  const { _nsps: namespaces, parentNsps: patterns } = io as unknown as {
    readonly _nsps: { readonly size: number };
    readonly parentNsps?: { readonly size: number };
  };
  return namespaces.size > 1 || (patterns?.size ?? 0) > 0;
}

function clientOf(socket: Socket): SocketClient {
  return socket.client as unknown as SocketClient;
}
