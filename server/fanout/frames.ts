import type { LogEntry } from '../log/broker.js';
import { entryToMessage, isDeliverable, viewEntry } from '../log/entry.js';
import { stringify, type JsonPiece } from '../protocol/exact-json.js';

/** The event that delivers a log entry. */
export type DeliveryEvent = 'message' | 'direct';

/** The acknowledgement id of an entry for which the publisher awaits confirmations. */
export type AckIdOf = (entry: LogEntry) => number | undefined;

const text = 0x81;
const binary = 0x82;
const ping = 0x89;
const jsonType: Record<DeliveryEvent, string> = { message: 'Broadcast', direct: 'Direct' };

/** Bytes of an unmasked WebSocket frame with this payload (RFC 6455, 5.2). */
function framedLength(payloadLength: number): number {
  return payloadLength + (payloadLength < 126 ? 2 : payloadLength < 65536 ? 4 : 10);
}

function writeFrameHeader(target: Buffer, offset: number, opcode: number, length: number): number {
  target[offset] = opcode;
  if (length < 126) {
    target[offset + 1] = length;
    return offset + 2;
  }
  if (length < 65536) {
    target[offset + 1] = 126;
    target.writeUInt16BE(length, offset + 2);
    return offset + 4;
  }
  target[offset + 1] = 127;
  target.writeUInt32BE(0, offset + 2);
  target.writeUInt32BE(length, offset + 6);
  return offset + 10;
}

/** An unmasked WebSocket ping with an ASCII text of at most 125 characters. */
export function pingFrame(payload: string): Buffer {
  return Buffer.from([ping, payload.length, ...Buffer.from(payload, 'latin1')]);
}

/** The plan of one frame: an ASCII prefix and suffix around bytes that are copied unchanged. */
interface FramePlan {
  readonly opcode: number;
  readonly prefix: string;
  readonly body: Buffer;
  readonly suffix: string;
}

function writePlans(plans: readonly FramePlan[]): Buffer {
  let total = 0;
  for (const plan of plans) total += framedLength(plan.prefix.length + plan.body.length + plan.suffix.length);
  const target = Buffer.allocUnsafe(total);
  let at = 0;
  for (const { opcode, prefix, body, suffix } of plans) {
    at = writeFrameHeader(target, at, opcode, prefix.length + body.length + suffix.length);
    at += target.write(prefix, at, 'latin1');
    body.copy(target, at);
    at += body.length;
    at += target.write(suffix, at, 'latin1');
  }
  return target;
}

/**
 * `2["message",` or, with attachments and an acknowledgement id, `51-7["message",` (Socket.IO protocol v5).
 */
function packetPrefix(event: DeliveryEvent, attachments: number, ackId: number | undefined): string {
  const type = attachments === 0 ? '2' : `5${attachments}-`;
  return `${type}${ackId ?? ''}["${event}",{"sequence":`;
}

const emptyPosition = '{"sequence":0,"epoch":"",';

/** The parts of an entry as they are sent to Socket.IO clients. */
function deliverable({ entry }: LogEntry): {
  readonly body: Buffer;
  readonly attachments: readonly Buffer[];
} {
  const view = viewEntry(entry);
  if (isDeliverable(view)) return view;
  const text = stringify(entryToMessage(entry, 0, '', 'base64'));
  return { body: Buffer.from(text.slice(emptyPosition.length, -1)), attachments: [] };
}

/** WebSocket frames of a segment of entries for Socket.IO clients, in one buffer. */
export function socketIoFrames(
  event: DeliveryEvent,
  epoch: string,
  entries: readonly LogEntry[],
  ackIdOf: AckIdOf | undefined,
): Buffer {
  const plans: FramePlan[] = [];
  const rest = `,"epoch":"${epoch}",`;
  for (const item of entries) {
    const view = deliverable(item);
    const ackId = ackIdOf?.(item);
    const prefix = `4${packetPrefix(event, view.attachments.length, ackId)}${item.sequence}${rest}`;
    plans.push({ opcode: text, prefix, body: view.body, suffix: '}]' });
    for (const part of view.attachments) plans.push({ opcode: binary, prefix: '', body: part, suffix: '' });
  }
  return writePlans(plans);
}

/** The same entries as Engine.IO message packets, for long-polling and upgrades in progress. */
export function socketIoPackets(
  event: DeliveryEvent,
  epoch: string,
  entries: readonly LogEntry[],
  ackIdOf: AckIdOf | undefined,
): (string | Buffer)[] {
  const packets: (string | Buffer)[] = [];
  for (const item of entries) {
    const view = deliverable(item);
    const ackId = ackIdOf?.(item);
    const prefix = packetPrefix(event, view.attachments.length, ackId);
    packets.push(
      `${prefix}${item.sequence},"epoch":"${epoch}",${view.body.toString()}}]`,
      ...view.attachments,
    );
  }
  return packets;
}

/** WebSocket frames of a segment of entries for `/ws` clients, in one buffer. */
export function jsonFrames(event: DeliveryEvent, epoch: string, entries: readonly LogEntry[]): Buffer {
  const type = `{"type":"${jsonType[event]}","data":`;
  const plans = entries.map((item): FramePlan => {
    const view = viewEntry(item.entry);
    if (view.attachments.length > 0) {
      const body = Buffer.from(stringify(entryToMessage(item.entry, item.sequence, epoch, 'base64')));
      return { opcode: text, prefix: type, body, suffix: '}' };
    }
    return {
      opcode: text,
      prefix: `${type}{"sequence":${item.sequence},"epoch":"${epoch}",`,
      body: view.body,
      suffix: '}}',
    };
  });
  return writePlans(plans);
}

/**
 * The event that replaces dropped messages, as a Socket.IO packet. It holds the position of the last dropped
 * message and the number of dropped ones.
 */
export function dropNotice(topic: string, epoch: string, sequence: number, dropped: number): string {
  return `2${JSON.stringify(['gap', { topic, epoch, sequence, dropped, reason: 'outbox_overflow' }])}`;
}

/** One text in pieces, in a WebSocket frame. */
export function textFrame(pieces: readonly JsonPiece[]): Buffer {
  const length = pieces.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0);
  const target = Buffer.allocUnsafe(framedLength(length));
  let at = writeFrameHeader(target, 0, text, length);
  for (const piece of pieces)
    at += typeof piece === 'string' ? target.write(piece, at) : piece.copy(target, at);
  return target;
}

/** Texts, each in a WebSocket frame, in one buffer. */
export function textFrames(contents: readonly string[]): Buffer {
  const lengths = contents.map((content) => Buffer.byteLength(content));
  const target = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + framedLength(length), 0));
  let at = 0;
  contents.forEach((content, i) => {
    at = writeFrameHeader(target, at, text, lengths[i]!);
    at += target.write(content, at);
  });
  return target;
}
