import type { Namespace, Server, Socket } from 'socket.io';

/** What this service uses of Socket.IO's client object, which connects a transport with its sockets. */
interface SocketClient {
  /** Sockets by namespace. */
  readonly nsps: { readonly size: number };
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

/** Calls back with each namespace that a program adds, those made from a pattern too. */
export function onNewNamespace(io: Server, listener: (namespace: Namespace) => void): void {
  for (const [name, namespace] of namespacesOf(io)) if (name !== '/') listener(namespace);
  io.of('/').on('new_namespace', listener);
}

/** Whether a program has namespaces of its own. */
export function hasOwnNamespaces(io: Server): boolean {
  const { parentNsps: patterns } = io as unknown as { readonly parentNsps?: { readonly size: number } };
  return namespacesOf(io).size > 1 || (patterns?.size ?? 0) > 0;
}

function namespacesOf(io: Server): ReadonlyMap<string, Namespace> {
  return (io as unknown as { readonly _nsps: ReadonlyMap<string, Namespace> })._nsps;
}

function clientOf(socket: Socket): SocketClient {
  return socket.client as unknown as SocketClient;
}
