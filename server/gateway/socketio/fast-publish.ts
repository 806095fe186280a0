import type { Answer } from '../../commands/router.js';
import { connectionOn, transportTaken, type ClientConnection } from '../client-connection.js';
import { acksOf } from '../engine-internals/acknowledgements.js';
import type { EngineConnection } from '../engine-internals/engine-connection.js';
import {
  afterDispatch,
  isUnobserved,
  passOn,
  tapPackets,
  untapPackets,
} from '../engine-internals/packet-tap.js';
import type { RequestSizes } from '../../commands/request-sizes.js';
import { passUnread, type UnreadPacket } from '../engine-internals/exact-parser.js';
import { parseExactly } from '../../protocol/exact-json.js';
import type { CommandListener } from './command-listener.js';
import { ReplyWriter } from './reply-writer.js';
import { unreadEvent, unreadPacket } from './unread-events.js';

/** `2`: an event. `3`: an acknowledgement. */
const eventType = 0x32;
const ackType = 0x33;
/**
 * `2<id>["publish",{…}]`: an event of the main namespace without binary parts; without an id it requests no
 * acknowledgement.
 */
const publishPacket = /^2(\d*)\["publish",/;
/** `3<id>[…]`: an acknowledgement for the main namespace. */
const ackPacket = /^3(\d+)\[/;
/** `0` or `0{…}`: the client joins the main namespace. */
const joinPacket = /^0(?:\{|$)/;
/** `1`: the client leaves the main namespace. */
const leavePacket = '1';
/** `5<n>-…` and `6<n>-…`: an event or an acknowledgement with n binary parts, which follow it. */
const binaryPacket = /^[56](\d+)-/;

/** Packets of a connection that Socket.IO has not passed to their listener yet. */
interface OnTheWay {
  packets: number;
  /** Binary parts that the last of these packets still waits for. */
  parts: number;
  /**
   * Packets after the one by which the client leaves. One of them may be the packet by which it joins again.
   */
  behindLeaving: unknown[] | undefined;
}

interface FastPublishDependencies {
  /** Runs a command. Never rejects. */
  readonly run: (connection: ClientConnection, command: 'publish', request: unknown) => Promise<Answer>;
  readonly commandListener: CommandListener;
  readonly sizes: RequestSizes;
}

/**
 * Reads `publish` packets at the transport, without Socket.IO's decoder, its event dispatch (three turns of
 * the tick queue) and its single acknowledgement packets: on the hot path these cost more than storing the
 * message. All other packets, and all sockets on which an embedding application has its own middleware or
 * listeners, take the normal path. While a packet of a connection is on the normal path, all later packets
 * follow it there, so that none overtakes another.
 */
export class FastPublish {
  /** Number of publishes that were read here. */
  taken = 0;
  private readonly replies = new ReplyWriter();
  /** Only connections with packets on the normal path. */
  private readonly slow = new WeakMap<ClientConnection, OnTheWay>();

  constructor(private readonly dependencies: FastPublishDependencies) {}

  /** Starts reading the packets of a connection, until its client leaves the main namespace. */
  attach({ socket }: ClientConnection): void {
    tapPackets(socket, this.onPacket);
  }

  detach(connection: ClientConnection): void {
    // The transport may stay open: another namespace may use it, or the client may join again.
    if (!untapPackets(connection.socket, this.onPacket)) return;
    for (const data of this.slow.get(connection)?.behindLeaving ?? []) passOn(connection.socket, data);
  }

  /** What takes the place of a text frame that is too large for its command, if its packet will be read here. */
  readonly unreadPacketOn = (engine: EngineConnection, frame: Buffer): UnreadPacket | undefined => {
    const connection = connectionOn(engine);
    if (connection === undefined || this.slow.get(connection)?.behindLeaving !== undefined) return undefined;
    return unreadPacket(connection, frame, this.dependencies.sizes);
  };

  // One listener shared by all transports; `this` is the transport.
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
      if (data.charCodeAt(0) === ackType && this.isStrayAck(connection, data)) return;
    }
    this.pass(connection, data);
  }

  /** False if the packet is not a publish, or if a program listens to publishes of this socket. */
  private takePublish(connection: ClientConnection, data: string): boolean {
    if (data.charCodeAt(0) !== eventType) return false;
    const { sizes } = this.dependencies;
    // The normal path refuses it.
    if (data.length > sizes.least && unreadEvent(connection, data, sizes) !== undefined) return false;
    const packet = publishPacket.exec(data);
    if (packet === null || !isUnobserved(connection.socket)) return false;
    const packetId = packet[1]!;
    const args = parse(data.slice(1 + packetId.length));
    if (args === undefined) return false;
    this.taken++;
    const { inbound } = connection;
    const bytes = data.length;
    inbound?.commandStarted(bytes);
    void this.dependencies.run(connection, 'publish', (args as unknown[])[1]).then((answer) => {
      inbound?.commandEnded(bytes);
      // Later packets of the transport may belong to another connection.
      if (!connection.socket.connected) return;
      if (!answer.ok) inbound?.refused(answer.error.code, bytes);
      if (packetId !== '') this.replies.add(connection.outbox, `3${packetId}[${JSON.stringify(answer)}]`);
      else if (!answer.ok) connection.emit('error', answer.error);
    });
    return true;
  }

  /** Whether nobody waits for an acknowledgement, or no longer. Socket.IO would ignore it too. */
  private isStrayAck(connection: ClientConnection, data: string): boolean {
    const id = ackPacket.exec(data)?.[1];
    if (id === undefined) return false;
    const isAwaited = acksOf(connection.socket).get(Number(id)) !== undefined;
    connection.inbound?.acknowledged(isAwaited);
    return !isAwaited;
  }

  private pass(connection: ClientConnection, data: unknown): void {
    const { slow } = this;
    connection.inbound?.passedOn(sizeOf(data), slow.has(connection));
    const way = slow.get(connection) ?? { packets: 0, parts: 0, behindLeaving: undefined };
    slow.set(connection, way);
    if (data === leavePacket) way.behindLeaving = [];
    this.dependencies.commandListener.keepAttached(connection.socket);
    const { socket } = connection;
    const unread =
      typeof data === 'string' ? unreadEvent(connection, data, this.dependencies.sizes) : undefined;
    if (unread === undefined) passOn(socket, data);
    else passUnread(unread, () => passOn(socket, data));
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

function sizeOf(data: unknown): number {
  return typeof data === 'string' || Buffer.isBuffer(data) ? data.length : 0;
}

/** Undefined for malformed text, and for text with a key twice. Socket.IO then handles the packet. */
function parse(text: string): unknown {
  try {
    return parseExactly(text);
  } catch {
    return undefined;
  }
}
