import type { EventEmitter } from 'node:events';
import { Socket as TcpSocket } from 'node:net';
import type { Socket } from 'socket.io';

const nothing: Readonly<Record<string, never>> = Object.freeze({});

/** Stands in for requests that were let go. */
const released = Object.freeze({ headers: nothing, url: '', connection: nothing, socket: nothing });

type Fields = Readonly<Record<string, unknown>>;

/** What stays of a handshake: what code of an embedding application may still ask for, without the token and the headers. */
class ReleasedHandshake {
  readonly address: string;
  readonly issued: number;
  readonly secure: boolean;
  readonly auth: Fields;
  readonly query: Fields;

  constructor(handshake: Socket['handshake']) {
    this.address = handshake.address;
    this.issued = handshake.issued;
    this.secure = handshake.secure;
    this.auth = withoutToken(handshake.auth);
    this.query = withoutToken(handshake.query);
  }

  get time(): string {
    return String(new Date(this.issued));
  }

  get headers(): Fields {
    return nothing;
  }

  get url(): string {
    return '';
  }

  get xdomain(): boolean {
    return false;
  }
}

function withoutToken(given: Fields): Fields {
  const { token: _token, EIO: _eio, transport: _transport, t: _t, ...rest } = given;
  return Object.keys(rest).length === 0 ? nothing : rest;
}

/**
 * Lets go of the handshake of a connection that has joined: its headers, its token, the request object and what refers to it are a large
 * part of what an idle connection costs.
 */
export function releaseHandshake(socket: Socket): void {
  Object.assign(socket, { handshake: new ReleasedHandshake(socket.handshake) });
  Object.assign(socket.conn, { request: released });
  // Long-polling goes on with requests of its own.
  const { socket: webSocket } = socket.conn.transport as { socket?: EventEmitter & { _socket?: TcpSocket } };
  const tcp = webSocket?._socket;
  if (webSocket === undefined || tcp === undefined || tcp === null) return;
  dropUpgradeListener(webSocket);
  dropResponseListener(tcp);
  dropListenerWrappers(tcp);
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

/** node:http gives each socket listener methods of its own, which watch for readers until the upgrade. */
function dropListenerWrappers(tcp: TcpSocket): void {
  const { on, addListener, prependListener } = TcpSocket.prototype;
  Object.assign(tcp, { on, addListener, prependListener });
}
