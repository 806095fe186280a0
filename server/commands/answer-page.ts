import type { Message } from '../../shared/message.js';
import type { LogEntry } from '../log/broker.js';
import { entryToMessage } from '../log/entry.js';
import type { PageLimits } from '../log/page.js';
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
    asText: wire === 'json',
  };
}

/** An entry of the log as a message for one wire. */
export function messageFor(wire: Wire, { entry, sequence }: LogEntry, epoch: string): Message {
  return entryToMessage(entry, sequence, epoch, wire === 'json' ? 'base64' : 'buffer');
}
