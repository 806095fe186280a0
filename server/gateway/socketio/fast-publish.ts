import type { Socket } from 'socket.io';
import { connectionOn, transportTaken, type ClientConnection } from '../client-connection.js';
import type { EngineConnection } from '../../fanout/engine-connection.js';

/** What of Socket.IO's client object stands between a transport and a socket. */
interface SocketClient {
  readonly conn: EngineConnection & {
    on(event: 'data', listener: (this: EngineConnection, data: unknown) => void): void;
    off(event: 'data', listener: (data: unknown) => void): void;
  };
  readonly ondata: (data: unknown) => void;
}

/** `2<id>["publish",{…}]`: an event of the main namespace without binary parts; without an id it asks for no acknowledgement. */
const publishPacket = /^2(\d*)\["publish",/;
/** `0` or `0{…}`: the client joins the main namespace. */
const joinPacket = /^0(?:\{|$)/;
/** `1`: the client leaves the main namespace. */
const leavePacket = '1';
/** `5<n>-…` and `6<n>-…`: an event, or an acknowledgement, that is complete when n binary parts have followed. */
const binaryPacket = /^[56](\d+)-/;

/** Packets of a connection that are on Socket.IO's way to their listener. */
interface OnTheWay {
  packets: number;
  /** Binary parts that the last of them still waits for. */
  parts: number;
  /** What came behind the packet by which the client leaves; it may be the one by which it joins again. */
  behindLeaving: unknown[] | undefined;
}

/** The listener is on a transport as long as its client is in the main namespace. */
export interface PublishTaker {
  attach(connection: ClientConnection): void;
  detach(connection: ClientConnection): void;
}

/**
 * Makes the one listener that takes `publish` packets at the transport, past Socket.IO's decoder, its event dispatch (three turns of the
 * tick queue) and its single acknowledgement packets: on the hot path these cost more than storing the message. Everything else, and
 * every socket that an embedding application has given middleware or listeners of its own, goes the usual way; as long as something of a
 * connection is on that way, everything behind it follows, so that no packet overtakes another.
 *
 * @param answer runs the command; `packetId` is empty where no acknowledgement is asked for
 */
export function publishTaker(
  answer: (connection: ClientConnection, request: unknown, packetId: string) => void,
): PublishTaker {
  /** Only connections that have something on the way. */
  const slow = new WeakMap<ClientConnection, OnTheWay>();
  const pass = (connection: ClientConnection, data: unknown) => {
    const way = slow.get(connection) ?? { packets: 0, parts: 0, behindLeaving: undefined };
    slow.set(connection, way);
    if (data === leavePacket) way.behindLeaving = [];
    clientOf(connection.socket).ondata(data);
    const parts = typeof data === 'string' ? Number(binaryPacket.exec(data)?.[1] ?? 0) : 0;
    if (typeof data === 'string') {
      way.packets++;
      way.parts = parts;
    } else if (way.parts > 0) way.parts--;
    if (way.parts > 0) return;
    afterDispatch(() => {
      if (--way.packets <= 0) slow.delete(connection);
    });
  };
  const take = function (this: EngineConnection, data: unknown): void {
    const connection = connectionOn(this);
    if (connection === undefined) return;
    const way = slow.get(connection);
    if (way?.behindLeaving !== undefined) {
      way.behindLeaving.push(data);
      return;
    }
    const { socket } = connection;
    const packet =
      typeof data === 'string' && data.charCodeAt(0) === 0x32 && way === undefined
        ? publishPacket.exec(data)
        : null;
    const args =
      packet !== null && isPlain(socket) ? parse((data as string).slice(1 + packet[1]!.length)) : undefined;
    if (args === undefined) {
      if (typeof data === 'string' && joinPacket.test(data)) {
        connection.disconnect(transportTaken());
        return;
      }
      pass(connection, data);
    } else answer(connection, (args as unknown[])[1], packet![1]!);
  };
  return {
    attach: ({ socket }) => {
      const { conn, ondata } = clientOf(socket);
      conn.off('data', ondata);
      conn.on('data', take);
    },
    detach: (connection) => {
      const { socket } = connection;
      const { conn, ondata } = clientOf(socket);
      conn.off('data', take);
      // The transport may stay open, for another namespace or to join this one again.
      if (conn.readyState !== 'open') return;
      conn.on('data', ondata);
      for (const data of slow.get(connection)?.behindLeaving ?? []) ondata(data);
    },
  };
}

/** Calls back when Socket.IO has given what it has decoded by now to the listeners: it takes one turn of the tick queue to them, of ours three. */
function afterDispatch(done: () => void): void {
  process.nextTick(() => process.nextTick(() => process.nextTick(done)));
}

function clientOf(socket: Socket): SocketClient {
  return socket.client as unknown as SocketClient;
}

/** Undefined for malformed text: Socket.IO knows what to do with a malformed packet. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Nobody but this service listens in on the socket. */
function isPlain(socket: Socket): boolean {
  const { fns } = socket as unknown as { fns: unknown[] };
  return (
    socket.connected &&
    fns.length === 0 &&
    socket.listenersAny().length === 1 &&
    socket.listenerCount('publish') === 0
  );
}
