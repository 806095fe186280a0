import type { Namespace, Server, Socket } from 'socket.io';
import { isOfService } from './service-namespaces.js';

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
  const { parentNsps: patterns } = io as unknown as { readonly parentNsps?: { readonly size: number } };
  const own = [...namespacesOf(io).values()].filter((one) => one.name !== '/' && !isOfService(one));
  return own.length > 0 || (patterns?.size ?? 0) > 0;
}

/**
 * Makes every socket leave its namespace, as Socket.IO's server does when it closes. There, a listener of a program that throws would keep
 * all other sockets, and the server, from closing.
 */
export function leaveAll(io: Server, reason: string, onError: (error: unknown) => void): void {
  for (const namespace of namespacesOf(io).values())
    for (const socket of namespace.sockets.values()) leave(socket, reason, onError);
}

/** Makes a socket leave its namespace, before its transport closes. */
export function leave(socket: Socket, reason: string, onError: (error: unknown) => void): void {
  try {
    (socket as unknown as { _onclose(reason: string): void })._onclose(reason);
  } catch (error) {
    onError(error);
  }
}

function namespacesOf(io: Server): ReadonlyMap<string, Namespace> {
  return (io as unknown as { readonly _nsps: ReadonlyMap<string, Namespace> })._nsps;
}

function clientOf(socket: Socket): SocketClient {
  return socket.client as unknown as SocketClient;
}
