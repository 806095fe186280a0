import type { RequestSizes } from '../../commands/request-sizes.js';
import { costlyFrom, jsonCostRefusal } from '../../protocol/json-cost.js';
import type { ClientConnection } from '../client-connection.js';
import type { UnreadEvent, UnreadPacket } from '../engine-internals/exact-parser.js';
import { arePacketsHandledByProgram, isHandledByProgram } from '../engine-internals/program-listeners.js';
import { engineOf } from '../engine-internals/engine-connection.js';
import { isUnobserved } from '../engine-internals/packet-tap.js';

/** `4`: the packet of Engine.IO that holds one of Socket.IO. */
const messageType = 0x34;

/**
 * `2<id>["<name>",…]`, or `5<n>-<id>["<name>",…]`: the beginning of an event of the main namespace, however it is written. The name may be
 * a whole number. The groups are the packet up to the end of the name, and the name.
 */
const eventBeginning = /^((?:2|5\d+-)(?:\/,)?\d*\[\s*("(?:[^"\\]|\\.)*"|\d+))\s*[,\]]/;

/**
 * The event in a packet that is not read, because it is too large for its command or would be costly to read, and its refusal. Events that a
 * program listens to are left to it.
 */
export function unreadEvent(
  connection: ClientConnection,
  packet: string,
  sizes: RequestSizes,
): UnreadEvent | undefined {
  if (packet.length < costlyFrom) return undefined;
  const command = commandIn(connection, packet);
  if (command === undefined) return undefined;
  const { name } = command;
  const refusal = sizes.refusalOf(name, packet.length) ?? jsonCostRefusal(packet);
  return refusal && { name, refusal };
}

/** Bytes of a frame in which the beginning of its event is looked for. */
const beginningBytes = 512;

/**
 * The same for a text frame of Engine.IO, by its size alone. It is not made a text: of texts of a megabyte, fifteen would wait for the collector
 * beside the frames that they were made of. Where a program listens to packets, it gets them as they are.
 */
export function unreadPacket(
  connection: ClientConnection,
  frame: Buffer,
  sizes: RequestSizes,
): UnreadPacket | undefined {
  if (frame.length < costlyFrom || frame[0] !== messageType) return undefined;
  const command = commandIn(connection, frame.toString('utf8', 1, beginningBytes));
  if (command === undefined || arePacketsHandledByProgram(engineOf(connection.socket))) return undefined;
  const { name, beginning } = command;
  const refusal = sizes.refusalOf(name, frame.length - 1);
  return refusal && { event: { name, refusal }, standIn: Buffer.from(`4${beginning}]`) };
}

interface CommandBeginning {
  readonly name: string;
  /** The packet up to the end of the name. */
  readonly beginning: string;
}

/** The event in a packet, if only this service receives it. */
function commandIn({ socket }: ClientConnection, packet: string): CommandBeginning | undefined {
  const [, beginning = '', written = ''] = eventBeginning.exec(packet) ?? [];
  if (written === '' || !isUnobserved(socket)) return undefined;
  const name = textOf(written);
  return name === undefined || isHandledByProgram(socket, name) ? undefined : { name, beginning };
}

function textOf(written: string): string | undefined {
  try {
    return String(JSON.parse(written));
  } catch {
    return undefined;
  }
}
