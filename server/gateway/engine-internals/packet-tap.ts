import type { Socket } from 'socket.io';
import type { EngineConnection } from './engine-connection.js';

/** Socket.IO's client object, which connects a transport with its sockets. */
interface SocketClient {
  readonly conn: EngineConnection & {
    on(event: 'data', listener: (this: EngineConnection, data: unknown) => void): void;
    off(event: 'data', listener: (data: unknown) => void): void;
  };
  /** Socket.IO's listener for packets: it passes them to the decoder. */
  readonly ondata: (data: unknown) => void;
}

/** Reads the packets of a transport instead of Socket.IO; `this` is the Engine.IO connection. */
export type PacketListener = (this: EngineConnection, data: unknown) => void;

/**
 * Makes `listener` read the packets of a socket's transport. Socket.IO receives only packets passed to
 * {@link passOn}.
 */
export function tapPackets(socket: Socket, listener: PacketListener): void {
  const { conn, ondata } = clientOf(socket);
  conn.off('data', ondata);
  conn.on('data', listener);
}

/** Undoes {@link tapPackets}. False if the transport has closed: no one reads its packets any more. */
export function untapPackets(socket: Socket, listener: PacketListener): boolean {
  const { conn, ondata } = clientOf(socket);
  conn.off('data', listener);
  if (conn.readyState !== 'open') return false;
  conn.on('data', ondata);
  return true;
}

/** Passes a packet to Socket.IO. */
export function passOn(socket: Socket, data: unknown): void {
  clientOf(socket).ondata(data);
}

/**
 * Whether only this service receives the events of a client: the socket has no middleware (`socket.use`), no
 * catch-all listener except that of the service, and no listener for `publish`.
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

/** A middleware of a socket: gets an event with its arguments, and may change it. */
type SocketMiddleware = (event: unknown[], next: (error?: Error) => void) => void;

/**
 * Calls `run` with the event that is being dispatched once the socket's middleware (`socket.use`) has let it
 * through. To be called from a catch-all listener: Socket.IO calls those before the middleware, and copies the
 * list of middleware right after them.
 *
 * @returns false if the socket has no middleware; `run` is not called then
 */
export function afterMiddleware(socket: Socket, run: (event: unknown[]) => void): boolean {
  const { fns } = socket as unknown as { readonly fns: SocketMiddleware[] };
  if (fns.length === 0) return false;
  const last: SocketMiddleware = (event, next) => {
    run(event);
    next();
  };
  fns.push(last);
  process.nextTick(() => fns.splice(fns.indexOf(last), 1));
  return true;
}

/**
 * Calls back when Socket.IO has passed all packets that it has read so far to the listeners. Its decoder, its
 * client and its socket each take at most one turn of the tick queue.
 */
export function afterDispatch(done: () => void): void {
  process.nextTick(() => process.nextTick(() => process.nextTick(done)));
}

function clientOf(socket: Socket): SocketClient {
  return socket.client as unknown as SocketClient;
}
