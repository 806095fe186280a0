import type { Socket } from 'socket.io';
import type { EngineConnection } from './engine-connection.js';

/** What of Socket.IO's client object stands between a transport and its sockets. */
interface SocketClient {
  readonly conn: EngineConnection & {
    on(event: 'data', listener: (this: EngineConnection, data: unknown) => void): void;
    off(event: 'data', listener: (data: unknown) => void): void;
  };
  /** The listener by which Socket.IO reads packets: it decodes them. */
  readonly ondata: (data: unknown) => void;
}

/** Reads the packets of a transport in place of Socket.IO; `this` is the Engine.IO connection. */
export type PacketListener = (this: EngineConnection, data: unknown) => void;

/** Lets `listener` read the packets of a socket's transport before Socket.IO does, which gets those that are given to {@link passOn}. */
export function tapPackets(socket: Socket, listener: PacketListener): void {
  const { conn, ondata } = clientOf(socket);
  conn.off('data', ondata);
  conn.on('data', listener);
}

/** Undoes {@link tapPackets}. False: the transport has closed, and nobody reads it any more. */
export function untapPackets(socket: Socket, listener: PacketListener): boolean {
  const { conn, ondata } = clientOf(socket);
  conn.off('data', listener);
  if (conn.readyState !== 'open') return false;
  conn.on('data', ondata);
  return true;
}

/** Gives a packet to Socket.IO. */
export function passOn(socket: Socket, data: unknown): void {
  clientOf(socket).ondata(data);
}

/**
 * Whether nobody but this service listens to what a client sends: no middleware of the socket (`socket.use`), no listener to all events
 * beside that of the service, none to `publish`.
 */
export function isUnobserved(socket: Socket): boolean {
  const { fns } = socket as unknown as { readonly fns: readonly unknown[] };
  return (
    socket.connected &&
    fns.length === 0 &&
    socket.listenersAny().length === 1 &&
    socket.listenerCount('publish') === 0
  );
}

/**
 * Calls back when Socket.IO has given what it has decoded by now to the listeners. Its decoder, its client and its socket each take one turn of
 * the tick queue at most.
 */
export function afterDispatch(done: () => void): void {
  process.nextTick(() => process.nextTick(() => process.nextTick(done)));
}

function clientOf(socket: Socket): SocketClient {
  return socket.client as unknown as SocketClient;
}
