import type { Message } from '../../shared/message.js';
import type { LogEntry } from '../log/broker.js';
import { entryToMessage, looksLikePlaceholder, viewHeader, type BinaryForm } from '../log/entry.js';
import type { PageLimits } from '../log/page.js';
import { binaryPartsLimit } from '../protocol/binary-parts.js';
import type { Wire } from '../protocol/connection.js';

/** Limits of one answer with messages. */
export interface AnswerSettings {
  /** Number of messages. */
  readonly maxHistoryAnswer: number;
  readonly maxHistoryAnswerBytes: number;
}

/** The limits of a page for one wire. */
export function pageLimits(wire: Wire, limit: number, settings: AnswerSettings): PageLimits {
  return {
    limit,
    bytes: settings.maxHistoryAnswerBytes,
    binaryParts: binaryPartsLimit(wire),
    asText: wire === 'json',
  };
}

/** An entry of the log as a message of an answer. */
export function messageOf({ entry, sequence }: LogEntry, epoch: string, form: BinaryForm): Message {
  return entryToMessage(entry, sequence, epoch, form);
}

/**
 * The form of binary parts in an answer with these messages. On Socket.IO they are base64 text if another
 * message looks like the placeholder of a part: the parser of a client would put a part of somebody else in
 * its place, or close the connection.
 */
export function binaryFormOf(wire: Wire, items: readonly LogEntry[]): BinaryForm {
  if (wire === 'json') return 'base64';
  if (!items.some(({ entry }) => viewHeader(entry)?.attachments !== undefined)) return 'buffer';
  return items.some(({ entry }) => looksLikePlaceholder(entry)) ? 'base64' : 'buffer';
}
