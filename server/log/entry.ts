import { base64Key, type Message } from '../../shared/message.js';
import { binaryPartsPerPacket } from '../protocol/binary-parts.js';
import { ExactNumber, parseStored, StoredJson } from '../protocol/exact-json.js';

/**
 * The encoding of one message in the log and between replicas.
 *
 * A replica must never parse and re-encode a payload to deliver it. So an entry holds the *inside* of the
 * message's JSON object, without the two fields that only the log can set:
 * `"id":"…","topic":"…",…,"payload":…`. On every wire, the JSON of the message is
 * `{"sequence":5,"epoch":"…",` + body + `}`.
 *
 * An entry that consists of a body only begins with `"`. Any other entry begins with a one-line JSON
 * {@link EntryHeader}, then the body, then the binary parts. The body refers to these as Socket.IO does:
 * `{"_placeholder":true,"num":0}`.
 */
interface EntryHeader {
  /** Length of the body, in bytes. */
  readonly body: number;
  /** Length of each binary part, in bytes. */
  readonly attachments?: readonly number[];
  /** Replica that waits for delivery confirmations of this message. */
  readonly origin?: string;
  /** The message is being traced: replicas that deliver it record its events. */
  readonly traced?: true;
}

/** The parts of an entry, without copies. */
interface EntryView {
  readonly header: EntryHeader | null;
  readonly body: Buffer;
  readonly attachments: readonly Buffer[];
}

/** The input of {@link encodeEntry}. */
interface NewMessage {
  readonly id: string;
  /** Undefined for a direct message, because the name of the inbox is not shown to its recipient. */
  readonly topic: string | undefined;
  /** JSON text of the payload, with placeholders for `attachments`. */
  readonly payloadJson: string;
  readonly attachments: readonly Buffer[];
  readonly sender: string | null;
  readonly timestamp: number;
  /** Replica to which receivers report acknowledgements of the message. */
  readonly confirmTo?: string | undefined;
  readonly traced?: boolean;
}

const quote = 0x22;
const newline = 0x0a;
const senderMark = '"sender":';
const timestampMark = '"timestamp":';
/** The beginning of that mark. */
const lowerT = 0x74;
const lowerI = 0x69;
const zero = 0x30;
/** Digits of a time in milliseconds between 2001 and 2286. */
const timestampDigits = 13;
/** As in JSON text, where it cannot be part of a longer string. */
const placeholderKey = '"_placeholder"';
const noAttachments: readonly Buffer[] = [];

/** Encodes a message for {@link import('./broker.js').AppendEntry}. */
export function encodeEntry(message: NewMessage): Buffer {
  const sender = message.sender === null ? 'null' : JSON.stringify(message.sender);
  const isDirect = message.topic === undefined;
  const topic = isDirect ? '' : `"topic":"${message.topic}",`;
  // Direct messages always need an acknowledgement, so their entry has no `confirm` field.
  const confirm = message.confirmTo === undefined || isDirect ? '' : '"confirm":true,';
  const body = `"id":"${message.id}",${topic}"sender":${sender},"timestamp":${message.timestamp},${confirm}"payload":${message.payloadJson}`;
  const traced = message.traced === true;
  if (message.attachments.length === 0 && message.confirmTo === undefined && !traced)
    return Buffer.from(body);
  const header: EntryHeader = {
    body: Buffer.byteLength(body),
    ...(message.attachments.length > 0 && { attachments: message.attachments.map((part) => part.length) }),
    ...(message.confirmTo !== undefined && { origin: message.confirmTo }),
    ...(traced && { traced }),
  };
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n${body}`), ...message.attachments]);
}

/**
 * The fields in inbox entries of version 0.1: the name of the inbox, and the request for an acknowledgement.
 */
const inboxFields =
  /^("id":"[^"]*",)"topic":"[^"]*",("sender":(?:null|"(?:[^"\\]|\\.)*"),"timestamp":\d+,)(?:"confirm":true,)?/;
const topicMark = '"topic":';
/** Index in the body at which the topic of a message begins: after `"id":"…",`. */
const topicAt = 44;

/**
 * The entry of a direct message as sent to its recipients. In entries written by version 0.1 the topic is the
 * name of the inbox.
 */
export function directEntry(entry: Buffer): Buffer {
  const start = entry[0] === quote ? 0 : entry.indexOf(newline) + 1;
  if (entry.toString('latin1', start + topicAt, start + topicAt + topicMark.length) !== topicMark)
    return entry;
  const { header, body, attachments } = viewEntry(entry);
  const text = body.toString().replace(inboxFields, '$1$2');
  if (header === null) return Buffer.from(text);
  const changed: EntryHeader = { ...header, body: Buffer.byteLength(text) };
  return Buffer.concat([Buffer.from(`${JSON.stringify(changed)}\n${text}`), ...attachments]);
}

/** Whether the message of an entry is being traced. */
export function isTraced(entry: Buffer): boolean {
  return entry[0] !== quote && viewHeader(entry)?.traced === true;
}

/** The payload of a message that is not stored yet, as an object with `Buffer`s. */
export function payloadOf(payloadJson: string, attachments: readonly Buffer[]): unknown {
  const payload: unknown = JSON.parse(payloadJson);
  return attachments.length === 0 ? payload : putBinary(payload, attachments, 'buffer');
}

/** Headers that were parsed, as long as their entries are in memory: several parts look at the header of an entry on its way. */
const headers = new WeakMap<Buffer, EntryHeader>();

/** The header of an entry, for those that have one. */
export function viewHeader(entry: Buffer): EntryHeader | null {
  if (entry[0] === quote) return null;
  let header = headers.get(entry);
  if (header === undefined) {
    header = JSON.parse(entry.toString('utf8', 0, entry.indexOf(newline))) as EntryHeader;
    headers.set(entry, header);
  }
  return header;
}

/**
 * Splits an entry into its parts. Only {@link encodeEntry} writes entries, so a malformed one is a bug and
 * throws.
 */
export function viewEntry(entry: Buffer): EntryView {
  if (entry[0] === quote) return { header: null, body: entry, attachments: noAttachments };
  const end = entry.indexOf(newline);
  const header = viewHeader(entry)!;
  let at = end + 1 + header.body;
  const attachments = (header.attachments ?? []).map((length) => entry.subarray(at, (at += length)));
  return { header, body: entry.subarray(end + 1, end + 1 + header.body), attachments };
}

/**
 * Whether the message can be sent as a Socket.IO packet. Those with more binary parts, which version 0.1 has
 * stored, are sent with base64 text instead: the parsers of clients would close the connection.
 */
export function isDeliverable({ attachments }: Pick<EntryView, 'attachments'>): boolean {
  return attachments.length <= binaryPartsPerPacket;
}

/** Whether a message without binary parts has what Socket.IO takes for the place of one. */
export function looksLikePlaceholder(entry: Buffer): boolean {
  return viewHeader(entry)?.attachments === undefined && entry.includes(placeholderKey);
}

/** Id of an entry's message, found without parsing. */
export function messageIdOf(entry: Buffer): string {
  const body = entry[0] === quote ? 0 : entry.indexOf(newline) + 1;
  return entry.toString('latin1', body + 6, body + 42);
}

/** The sender of an entry's message as JSON text, found without parsing; the empty text if there is none. */
export function senderOf(entry: Buffer): string {
  const at = entry.indexOf(senderMark);
  // In the sender, quotation marks are escaped.
  const end = at < 0 ? -1 : entry.indexOf(`,${timestampMark}`, at);
  return end < 0 ? '' : entry.toString('utf8', at + senderMark.length, end);
}

/** Time at which an entry's message was accepted, in milliseconds since 1970, found without parsing. */
export function timestampOf(entry: Buffer): number {
  let at = timestampAt(entry);
  let timestamp = 0;
  for (const end = at + timestampDigits; at < end; at++) timestamp = timestamp * 10 + entry[at]! - zero;
  return timestamp;
}

/** Where the digits begin. For so few bytes, `entry.indexOf` costs several times as much. */
function timestampAt(entry: Buffer): number {
  const { length } = timestampMark;
  for (let at = 0; at < entry.length; at++) {
    if (entry[at] !== quote || entry[at + 1] !== lowerT || entry[at + 2] !== lowerI) continue;
    // In the sender, which comes before, quotation marks are escaped.
    if (entry.toString('latin1', at, at + length) === timestampMark) return at + length;
  }
  return entry.length;
}

/** Form of binary parts when an entry becomes an object. */
export type BinaryForm = 'buffer' | 'base64';

/** The message of an entry without binary parts, as its JSON text. */
export function entryToJson(entry: Buffer, sequence: number, epoch: string): StoredJson {
  return new StoredJson(`{"sequence":${sequence},"epoch":"${epoch}",`, viewEntry(entry).body);
}

/** The message of an entry as an object: for programs, operators and answers with binary parts, never for live delivery. */
export function entryToMessage(entry: Buffer, sequence: number, epoch: string, form: BinaryForm): Message {
  const view = viewEntry(entry);
  const json = `{"sequence":${sequence},"epoch":"${epoch}",${view.body.toString()}}`;
  const message = parseStored(json) as Message;
  if (view.attachments.length === 0) return message;
  return {
    ...message,
    payload: putBinary(message.payload, view.attachments, isDeliverable(view) ? form : 'base64'),
  };
}

function putBinary(value: unknown, parts: readonly Buffer[], form: BinaryForm): unknown {
  if (Array.isArray(value)) return value.map((item) => putBinary(item, parts, form));
  if (typeof value !== 'object' || value === null || value instanceof ExactNumber) return value;
  const object = value as Record<string, unknown>;
  if (object['_placeholder'] === true && typeof object['num'] === 'number') {
    const part = parts[object['num']] ?? Buffer.alloc(0);
    return form === 'buffer' ? part : { [base64Key]: part.toString('base64') };
  }
  return Object.fromEntries(Object.entries(object).map(([key, item]) => [key, putBinary(item, parts, form)]));
}
