import type { Socket } from 'socket.io';
import { connectionOn, type ClientConnection } from './client-connection.js';
import type { EngineConnection } from './engine.js';
import { releaseLastFrame } from './lean-connection.js';

/** What of Socket.IO's client object stands between a transport and a socket. */
interface SocketClient {
  readonly conn: EngineConnection & {
    on(event: 'data', listener: (this: EngineConnection, data: unknown) => void): void;
    off(event: 'data', listener: (data: unknown) => void): void;
  };
  readonly ondata: (data: unknown) => void;
}

/** `2<id>["publish",{…}]`: an event of the main namespace, with an acknowledgement and without binary parts. */
const publishPacket = /^2(\d+)\["publish",/;

/**
 * Makes the one listener that takes `publish` packets at the transport, past Socket.IO's decoder, its event dispatch (three turns of the
 * tick queue) and its single acknowledgement packets: on the hot path these cost more than storing the message. Everything else, and
 * every socket that an embedding application has given middleware or listeners of its own, goes the usual way.
 */
export function publishTaker(
  answer: (connection: ClientConnection, request: unknown, packetId: string) => void,
): (socket: Socket) => void {
  const take = function (this: EngineConnection, data: unknown): void {
    const connection = connectionOn(this)!;
    const { socket } = connection;
    const packet = typeof data === 'string' && data.charCodeAt(0) === 0x32 ? publishPacket.exec(data) : null;
    const args =
      packet !== null && isPlain(socket) ? parse((data as string).slice(1 + packet[1]!.length)) : undefined;
    if (args === undefined) {
      clientOf(socket).ondata(data);
      releaseLastFrame(this);
    } else answer(connection, (args as unknown[])[1], packet![1]!);
  };
  return (socket) => {
    const { conn, ondata } = clientOf(socket);
    conn.off('data', ondata);
    conn.on('data', take);
  };
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
