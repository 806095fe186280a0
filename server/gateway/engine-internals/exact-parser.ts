import { Decoder, Encoder, PacketType, type Packet } from 'socket.io-parser';
import { RefusalError } from '../../../shared/errors.js';
import {
  ExactText,
  exactTwin,
  jsonPieces,
  jsonText,
  withExactNumbers,
  type JsonPiece,
} from '../../protocol/exact-json.js';
import { jsonCostRefusal } from '../../protocol/json-cost.js';
import { takeBinary } from '../../protocol/payload.js';

/** The methods of Socket.IO's parser that are extended here. Its types declare them private. */
interface DecoderMethods {
  tryParse(text: string): unknown;
}
interface EncoderMethods {
  encodeAsString(packet: Packet): string;
}

/** Up to this many binary parts, a packet is read and refused with an answer. Its sender is closed with more. */
const maxAttachments = 100;

/** The commands with a payload, at the beginning of their packet. */
const payloadCommand = /^\["(publish|direct)",/;

/** By the object of a request: the same with numbers that JavaScript cannot hold, or why it is refused. */
const twins = new WeakMap<object, unknown>();

/**
 * Socket.IO's decoder. Listeners of an embedding program get what they get from Socket.IO: the numbers that
 * JavaScript cannot hold are remembered beside, for {@link exactRequest}.
 */
export class ExactDecoder extends Decoder {
  constructor() {
    super({ maxAttachments });
  }

  static {
    const { tryParse } = Decoder.prototype as unknown as DecoderMethods;
    (ExactDecoder.prototype as unknown as DecoderMethods).tryParse = function (text) {
      if (unread !== undefined) return standIn(unread);
      const refused = refusedEvent(text);
      if (refused !== undefined) return refused;
      const value = tryParse.call(this, text);
      if (Array.isArray(value)) rememberTwin(text, value);
      return value;
    };
  }
}

/** An event that is refused without being read. */
export interface UnreadEvent {
  readonly name: string;
  readonly refusal: RefusalError;
}

/** A packet that is refused without being read. */
export interface UnreadPacket {
  readonly event: UnreadEvent;
  /** What is passed on in its place, with the same type and ids. */
  readonly standIn: Buffer;
}

let unread: UnreadEvent | undefined;

/** Has `pass` pass an event to a decoder, which does not read it: {@link exactRequest} gives the refusal instead of its request. */
export function passUnread(event: UnreadEvent, pass: () => void): void {
  unread = event;
  try {
    pass();
  } finally {
    unread = undefined;
  }
}

/** An event without content, in the place of one that is not read. */
function standIn({ name, refusal }: UnreadEvent): unknown[] {
  const request = {};
  twins.set(request, refusal);
  return [name, request];
}

/** The request of an event as its client sent it. A `RefusalError` in its place says why it cannot be read. */
export function exactRequest(request: unknown): unknown {
  if (typeof request !== 'object' || request === null) return request;
  const twin = twins.get(request);
  return twin === undefined || twin instanceof RefusalError
    ? (twin ?? request)
    : withExactNumbers(request, twin);
}

/**
 * In the place of a command whose text is too costly to read: an event without content, which is refused with an answer. Other packets close
 * the transport, as malformed ones do. Undefined for text that can be read.
 */
function refusedEvent(text: string): unknown[] | undefined {
  const refusal = jsonCostRefusal(text);
  if (refusal === undefined) return undefined;
  const name = payloadCommand.exec(text)?.[1];
  if (name === undefined) throw refusal;
  return standIn({ name, refusal });
}

function rememberTwin(text: string, event: readonly unknown[]): void {
  const request = event[1];
  if (typeof event[0] !== 'string' || typeof request !== 'object' || request === null) return;
  try {
    const twin = exactTwin(text, event) as readonly unknown[] | undefined;
    if (twin !== undefined) twins.set(request, twin[1]);
  } catch (refusal) {
    if (!(refusal instanceof RefusalError)) throw refusal;
    twins.set(request, refusal);
  }
}

/** Sends a packet without binary parts, in pieces. */
type SendPieces = (pieces: readonly JsonPiece[]) => void;

let sendPieces: SendPieces | undefined;

/** Has `reply` encode a packet. If it has stored messages, `send` sends it, and not Socket.IO, for which they would become text. */
export function replyInPieces(send: SendPieces, reply: () => void): void {
  sendPieces = send;
  try {
    reply();
  } finally {
    sendPieces = undefined;
  }
}

/** Socket.IO's encoder, with the numbers and the stored messages of answers as they were sent. */
export class ExactEncoder extends Encoder {
  override encode(packet: Packet): unknown[] {
    const before = ExactText.rounded;
    const encoded = super.encode(packet);
    return ExactText.rounded === before ? encoded : encodeExactly(this, packet);
  }
}

function encodeExactly(encoder: Encoder, packet: Packet): unknown[] {
  const attachments: Buffer[] = [];
  const data = takeBinary(packet.data, 'socketio', attachments);
  const isEvent = packet.type === PacketType.EVENT;
  const binaryType = isEvent ? PacketType.BINARY_EVENT : PacketType.BINARY_ACK;
  const { encodeAsString } = Encoder.prototype as unknown as EncoderMethods;
  const head = encodeAsString.call(encoder, {
    ...packet,
    data: undefined,
    ...(attachments.length > 0 && { type: binaryType, attachments: attachments.length }),
  });
  if (sendPieces === undefined || attachments.length > 0) return [head + jsonText(data), ...attachments];
  sendPieces([head, ...jsonPieces(data)]);
  return [];
}
