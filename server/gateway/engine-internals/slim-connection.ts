import type { EventEmitter } from 'node:events';
import type { Socket as TcpSocket } from 'node:net';
import type { Socket } from 'socket.io';
import { acksOf } from './acknowledgements.js';
import { LazyAckTable } from './lazy-ack-table.js';
import { SmallTable } from './small-table.js';

const nothing: Readonly<Record<string, never>> = Object.freeze({});

/** Stands in for requests that were let go. */
const released = Object.freeze({ headers: nothing, url: '', connection: nothing, socket: nothing });

type Fields = Readonly<Record<string, unknown>>;

/**
 * What stays of a handshake: what code of an embedding application may still ask for, without the token and the headers. All of it is own
 * fields, because the adapter and the Admin UI copy handshakes field by field, and send them to other replicas as JSON.
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
  const { token: _token, EIO: _eio, transport: _transport, t: _t, ...rest } = given;
  return Object.keys(rest).length === 0 ? nothing : rest;
}

/**
 * Lets go of what a connection that has joined does not need any more: its headers, its token, the request object and what refers to it, and
 * room that lists and tables keep for nothing. These are a large part of what an idle connection costs. What is done here only frees memory:
 * where another version of a library has other internals, it finds nothing to do.
 *
 * @returns whether it was a WebSocket, of which most is let go
 */
export function makeSlim(socket: Socket): boolean {
  Object.assign(socket, { handshake: new ReleasedHandshake(socket.handshake) });
  Object.assign(socket.conn, { request: released });
  // Long-polling goes on with requests of its own.
  const { socket: webSocket } = socket.conn.transport as { socket?: EventEmitter & { _socket?: TcpSocket } };
  const tcp = webSocket?._socket;
  if (webSocket === undefined || tcp === undefined || tcp === null) return false;
  dropUpgradeListener(webSocket);
  dropResponseListener(tcp);
  trimLists(socket);
  // Asked of the system again if somebody wants to know.
  Object.assign(tcp, { _peername: undefined });
  const { size } = acksOf(socket) as Map<number, unknown>;
  if (size === 0) Object.assign(socket, { acks: new LazyAckTable() });
  const client = socket.client as unknown as Record<'sockets' | 'nsps', SmallTable>;
  client.sockets = new SmallTable(client.sockets);
  client.nsps = new SmallTable(client.nsps);
  for (const emitter of [tcp, webSocket, socket.conn, socket.conn.transport, socket])
    compactListeners(emitter);
  return true;
}

/** Puts the address into a request that was let go: a client that joins again on the same transport still comes from there. */
export function keepAddress({ conn }: Socket, remoteAddress: string): void {
  const peer = { remoteAddress };
  if ((conn.request as unknown) === released)
    Object.assign(conn, { request: { ...released, connection: peer, socket: peer } });
}

/** A table of listeners without inherited names. Unlike `{ __proto__: null }`, V8 keeps its instances compact. */
const Listeners = function () {} as unknown as { new (): object; prototype: object };
Listeners.prototype = Object.create(null) as object;

/** Node's listener tables are hash tables from the start, of some 330 bytes each. */
function compactListeners(emitter: object): void {
  const { _events: events } = emitter as { _events?: object };
  if (events === undefined) return;
  const compact = new Listeners() as Record<string, unknown>;
  // A list of listeners that has grown keeps room for 17 more.
  for (const [event, listeners] of Object.entries(events))
    compact[event] = Array.isArray(listeners) ? listeners.slice() : listeners;
  Object.assign(emitter, { _events: compact });
}

/** engine.io leaves a listener on the WebSocket that served the upgrade only, in whose scope the request lives. The transport has its own. */
function dropUpgradeListener(webSocket: EventEmitter): void {
  for (const listener of webSocket.listeners('error')) {
    if (listener.name === 'onUpgradeError') webSocket.off('error', listener as () => void);
  }
}

/** engine.io tells its HTTP middleware of the end of the connection, through a response object that holds the request. There is no middleware. */
function dropResponseListener(tcp: TcpSocket): void {
  for (const listener of tcp.listeners('close')) {
    if (listener.name === '' && String(listener).includes('this.emit("close")'))
      tcp.off('close', listener as () => void);
  }
}

/** Lists that were filled and emptied, or will not grow any more, keep room for 17 items; copies have just what they need. */
function trimLists(socket: Socket): void {
  const { conn } = socket as unknown as { conn: Partial<Record<'cleanupFn' | 'sentCallbackFn', unknown[]>> };
  // A connection of `/ws` has neither.
  if (conn.cleanupFn !== undefined) conn.cleanupFn = conn.cleanupFn.slice();
  if (conn.sentCallbackFn?.length === 0) conn.sentCallbackFn = [];
  Object.assign(socket, { _anyListeners: socket.listenersAny().slice() });
}
