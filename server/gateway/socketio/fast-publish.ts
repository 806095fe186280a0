import type { Answer } from '../../commands/router.js';
import { connectionOn, transportTaken, type ClientConnection } from '../client-connection.js';
import type { EngineConnection } from '../engine-internals/engine-connection.js';
import {
  afterDispatch,
  isUnobserved,
  passOn,
  tapPackets,
  untapPackets,
} from '../engine-internals/packet-tap.js';
import type { CommandListener } from './command-listener.js';
import { ReplyWriter } from './reply-writer.js';

/** `2`: an event. */
const eventType = 0x32;
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

export interface FastPublishDependencies {
  /** Runs a command; never rejects. */
  readonly run: (connection: ClientConnection, command: 'publish', request: unknown) => Promise<Answer>;
  readonly commandListener: CommandListener;
}

/**
 * Takes `publish` packets at the transport, past Socket.IO's decoder, its event dispatch (three turns of the tick queue) and its single
 * acknowledgement packets: on the hot path these cost more than storing the message. Everything else, and every socket that an embedding
 * application has given middleware or listeners of its own, goes the usual way. As long as something of a connection is on that way,
 * everything behind it follows, so that no packet overtakes another.
 */
export class FastPublish {
  /** Publishes that were taken. */
  taken = 0;
  private readonly replies = new ReplyWriter();
  /** Only connections that have something on Socket.IO's way. */
  private readonly slow = new WeakMap<ClientConnection, OnTheWay>();

  constructor(private readonly dependencies: FastPublishDependencies) {}

  /** Begins to read the packets of a connection, as long as its client is in the main namespace. */
  attach({ socket }: ClientConnection): void {
    tapPackets(socket, this.onPacket);
  }

  detach(connection: ClientConnection): void {
    // The transport may stay open, for another namespace or to join this one again.
    if (!untapPackets(connection.socket, this.onPacket)) return;
    for (const data of this.slow.get(connection)?.behindLeaving ?? []) passOn(connection.socket, data);
  }

  // A listener that all transports share; `this` is the transport.
  private readonly onPacket = ((fast: FastPublish) =>
    function (this: EngineConnection, data: unknown): void {
      const connection = connectionOn(this);
      if (connection !== undefined) fast.read(connection, data);
    })(this);

  private read(connection: ClientConnection, data: unknown): void {
    const way = this.slow.get(connection);
    if (way?.behindLeaving !== undefined) {
      way.behindLeaving.push(data);
      return;
    }
    if (typeof data === 'string') {
      if (way === undefined && this.takePublish(connection, data)) return;
      if (joinPacket.test(data)) {
        connection.disconnect(transportTaken());
        return;
      }
    }
    this.pass(connection, data);
  }

  /** False if it is no publish, or one that others listen to. */
  private takePublish(connection: ClientConnection, data: string): boolean {
    if (data.charCodeAt(0) !== eventType) return false;
    const packet = publishPacket.exec(data);
    if (packet === null || !isUnobserved(connection.socket)) return false;
    const packetId = packet[1]!;
    const args = parse(data.slice(1 + packetId.length));
    if (args === undefined) return false;
    this.taken++;
    void this.dependencies.run(connection, 'publish', (args as unknown[])[1]).then((answer) => {
      // What follows on the transport may be another connection's.
      if (!connection.socket.connected) return;
      if (packetId !== '') this.replies.add(connection.outbox, `3${packetId}[${JSON.stringify(answer)}]`);
      else if (!answer.ok) connection.emit('error', answer.error);
    });
    return true;
  }

  private pass(connection: ClientConnection, data: unknown): void {
    const { slow } = this;
    const way = slow.get(connection) ?? { packets: 0, parts: 0, behindLeaving: undefined };
    slow.set(connection, way);
    if (data === leavePacket) way.behindLeaving = [];
    this.dependencies.commandListener.keepAttached(connection.socket);
    passOn(connection.socket, data);
    if (typeof data === 'string') {
      way.packets++;
      way.parts = Number(binaryPacket.exec(data)?.[1] ?? 0);
    } else if (way.parts > 0) way.parts--;
    if (way.parts > 0) return;
    afterDispatch(() => {
      if (--way.packets <= 0) slow.delete(connection);
    });
  }
}

/** Undefined for malformed text: Socket.IO knows what to do with a malformed packet. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
