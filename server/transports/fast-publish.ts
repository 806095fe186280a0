import type { Socket } from 'socket.io';
import type { EngineConnection } from './engine.js';

/** Runs a command and hands its answer on; never throws. */
export type AnswerCommand = (request: unknown, packetId: string) => void;

/** What of Socket.IO's client object stands between a transport and a socket. */
interface SocketClient {
  readonly conn: EngineConnection & {
    on(event: 'data', listener: (data: unknown) => void): void;
    off(event: 'data', listener: (data: unknown) => void): void;
  };
  readonly ondata: (data: unknown) => void;
}

/** `2<id>["publish",{…}]`: an event of the main namespace, with an acknowledgement and without binary parts. */
const publishPacket = /^2(\d+)\["publish",/;

/**
 * Takes `publish` packets at the transport, past Socket.IO's decoder, its event dispatch (three turns of the tick queue) and its single
 * acknowledgement packets: on the hot path these cost more than storing the message. Everything else, and every socket that an embedding
 * application has given middleware or listeners of its own, goes the usual way.
 */
export function takePublishes(socket: Socket, answer: AnswerCommand): void {
  const client = socket.client as unknown as SocketClient;
  const { conn } = client;
  const ours = (data: unknown): void => {
    const packet = typeof data === 'string' && data.charCodeAt(0) === 0x32 ? publishPacket.exec(data) : null;
    if (packet === null || !isPlain(socket)) {
      client.ondata(data);
      return;
    }
    let args: unknown;
    try {
      args = JSON.parse((data as string).slice(1 + packet[1]!.length));
    } catch {
      // Socket.IO knows what to do with a malformed packet.
      client.ondata(data);
      return;
    }
    answer((args as unknown[])[1], packet[1]!);
  };
  conn.off('data', client.ondata);
  conn.on('data', ours);
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
