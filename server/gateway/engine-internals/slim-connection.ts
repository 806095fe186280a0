import type { EventEmitter } from 'node:events';
import type { Socket as TcpSocket } from 'node:net';
import type { Socket } from 'socket.io';
import { acksOf } from './acknowledgements.js';
import { LazyAckTable } from './lazy-ack-table.js';
import { SmallTable } from './small-table.js';

const nothing: Readonly<Record<string, never>> = Object.freeze({});

/** Replaces requests that were released. */
const released = Object.freeze({ headers: nothing, url: '', connection: nothing, socket: nothing });

type Fields = Readonly<Record<string, unknown>>;

/**
 * What remains of a handshake: the parts that an embedding application may still read, without the token and
 * the headers. All are own properties, because the adapter and the Admin UI copy handshakes field by field
 * and send them to other replicas as JSON.
 */
class ReleasedHandshake {
  readonly headers = nothing;
  readonly url = '';
  readonly xdomain = false;
  readonly time: string;
  readonly address: string;
  readonly issued: number;
  readonly secure: boolean;
  readonly auth: Fields;
  readonly query: Fields;

  constructor(handshake: Socket['handshake']) {
    this.time = handshake.time;
    this.address = handshake.address;
    this.issued = handshake.issued;
    this.secure = handshake.secure;
    this.auth = withoutToken(handshake.auth);
    this.query = withoutToken(handshake.query);
  }
}

function withoutToken(given: Fields): Fields {
  const { token: _token, positions: _positions, EIO: _eio, transport: _transport, t: _t, ...rest } = given;
  return Object.keys(rest).length === 0 ? nothing : rest;
}

/**
 * Frees what a connected client does not need: its headers, its token, the request object and references to
 * it, and spare capacity of lists and tables. These are a large part of the memory of an idle connection.
 * This function only frees memory: if another version of a library has other internals, it does nothing.
 *
 * @returns whether the transport is a WebSocket, where most of the memory is freed
 */
export function makeSlim(socket: Socket): boolean {
  Object.assign(socket, { handshake: new ReleasedHandshake(socket.handshake) });
  Object.assign(socket.conn, { request: released });
  // Long-polling still needs its requests.
  const { socket: webSocket } = socket.conn.transport as { socket?: EventEmitter & { _socket?: TcpSocket } };
  const tcp = webSocket?._socket;
  if (webSocket === undefined || tcp === undefined || tcp === null) return false;
  dropUpgradeListener(webSocket);
  dropResponseListener(tcp);
  trimLists(socket);
  // Node reads the address from the system again if it is needed.
  Object.assign(tcp, { _peername: undefined });
  const { size } = acksOf(socket) as Map<number, unknown>;
  if (size === 0) Object.assign(socket, { acks: new LazyAckTable() });
  const client = socket.client as unknown as Record<'sockets' | 'nsps', SmallTable>;
  client.sockets = new SmallTable(client.sockets);
  client.nsps = new SmallTable(client.nsps);
  for (const emitter of [tcp, socket]) compactListeners(emitter);
  // None of these events comes twice: after an error engine.io removes its listeners from the transport.
  for (const emitter of [webSocket, socket.conn]) compactListeners(emitter, ['close']);
  compactListeners(socket.conn.transport, ['close', 'error']);
  return true;
}

/**
 * Puts the address into a released request. If the client joins again on the same transport, its address is
 * needed.
 */
export function keepAddress({ conn }: Socket, remoteAddress: string): void {
  const peer = { remoteAddress };
  if ((conn.request as unknown) === released)
    Object.assign(conn, { request: { ...released, connection: peer, socket: peer } });
}

/**
 * A table of listeners without inherited names. Unlike `{ __proto__: null }`, V8 keeps its instances compact.
 */
const Listeners = function () {} as unknown as { new (): object; prototype: object };
Listeners.prototype = Object.create(null) as object;

/**
 * Node's listener tables are hash tables from the start, about 330 bytes each.
 *
 * @param once events that come once: what was added by `once` needs no wrapper there, a function with its state, of 130 to 180 bytes.
 * `off` finds it by the function itself, as before
 */
function compactListeners(emitter: object, once: readonly string[] = []): void {
  const { _events: events } = emitter as { _events?: object };
  if (events === undefined) return;
  const compact = new Listeners() as Record<string, unknown>;
  for (const [event, listeners] of Object.entries(events)) {
    const kept = once.includes(event) ? unwrapped : (listener: unknown) => listener;
    // A list of listeners that has grown keeps room for 17 more.
    compact[event] = Array.isArray(listeners) ? copyOf(listeners, kept) : kept(listeners);
  }
  Object.assign(emitter, { _events: compact });
}

/** What was given to `once`, instead of Node's wrapper of it. */
function unwrapped(listener: unknown): unknown {
  const { listener: given } = (listener ?? nothing) as { readonly listener?: unknown };
  return typeof given === 'function' ? given : listener;
}

/**
 * Node 24 counts in a symbol of the list how many `emit` calls walk it. Without that count, a listener that removes itself makes `emit` skip the
 * next one. No call walks the copy.
 */
function copyOf(listeners: readonly unknown[], kept: (listener: unknown) => unknown): unknown[] {
  const copy = listeners.map(kept);
  for (const count of Object.getOwnPropertySymbols(listeners)) Object.assign(copy, { [count]: 0 });
  return copy;
}

/**
 * engine.io leaves a listener on the WebSocket, used only during the upgrade, whose closure holds the
 * request. The transport has its own.
 */
function dropUpgradeListener(webSocket: EventEmitter): void {
  for (const listener of webSocket.listeners('error')) {
    if (listener.name === 'onUpgradeError') webSocket.off('error', listener as () => void);
  }
}

/**
 * engine.io notifies its HTTP middleware of the end of the connection, through a response object that holds
 * the request. There is no middleware.
 */
function dropResponseListener(tcp: TcpSocket): void {
  for (const listener of tcp.listeners('close')) {
    if (listener.name === '' && String(listener).includes('this.emit("close")'))
      tcp.off('close', listener as () => void);
  }
}

/** Lists that were filled and emptied, or will not grow any more, keep room for 17 items; copies have just what they need. */
function trimLists(socket: Socket): void {
  const { conn } = socket as unknown as { conn: Partial<Record<'cleanupFn' | 'sentCallbackFn', unknown[]>> };
  // A `/ws` connection has neither.
  if (conn.cleanupFn !== undefined) conn.cleanupFn = conn.cleanupFn.slice();
  if (conn.sentCallbackFn?.length === 0) conn.sentCallbackFn = [];
  Object.assign(socket, { _anyListeners: socket.listenersAny().slice() });
  const { decoder } = socket.client as unknown as { decoder?: { _callbacks?: Record<string, unknown[]> } };
  const callbacks = decoder?._callbacks ?? {};
  for (const [event, listeners] of Object.entries(callbacks)) callbacks[event] = listeners.slice();
}
