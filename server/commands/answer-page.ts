import type { Message } from '../../shared/message.js';
import type { LogEntry } from '../log/broker.js';
import { entryToJson, entryToMessage, looksLikePlaceholder, viewHeader } from '../log/entry.js';
import type { PageLimits } from '../log/page.js';
import { binaryPartsLimit } from '../protocol/binary-parts.js';
import type { Wire } from '../protocol/connection.js';
import type { StoredJson } from '../protocol/exact-json.js';

/** Limits of one answer with messages. */
export interface AnswerSettings {
  /** Number of messages. */
  readonly maxHistoryAnswer: number;
  readonly maxHistoryAnswerBytes: number;
}

/** A message of an answer: those without binary parts are sent as they are stored. */
export type AnsweredMessage = Message | StoredJson;

/** The limits of a page for one wire. */
export function pageLimits(wire: Wire, limit: number, settings: AnswerSettings): PageLimits {
  return {
    limit,
    bytes: settings.maxHistoryAnswerBytes,
    binaryParts: binaryPartsLimit(wire),
    asText: wire === 'json',
  };
}

/**
 * Entries of the log as messages of an answer. On Socket.IO, binary parts are base64 text if another message looks like the placeholder of a
 * part: the parser of a client would put a part of somebody else in its place, or close the connection.
 */
export function messagesOf(
  wire: Wire,
  items: readonly { readonly item: LogEntry; readonly epoch: string }[],
): AnsweredMessage[] {
  const areBinary = items.map(({ item }) => viewHeader(item.entry)?.attachments !== undefined);
  // Socket.IO looks for binary parts in all messages.
  const areObjects = wire === 'socketio' && areBinary.includes(true);
  const isText = !areObjects || items.some(({ item }) => looksLikePlaceholder(item.entry));
  return items.map(({ item: { entry, sequence }, epoch }, i) =>
    areObjects || areBinary[i] === true
      ? entryToMessage(entry, sequence, epoch, isText ? 'base64' : 'buffer')
      : entryToJson(entry, sequence, epoch),
  );
}
