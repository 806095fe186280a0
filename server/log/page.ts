import type { LogEntry } from './broker.js';
import { viewHeader } from './entry.js';

/** What a page of an answer may hold. One message is always let through, so that a reader gets on. */
export interface PageLimits {
  /** Number of messages. */
  readonly limit: number;
  /** Bytes of the messages in the answer, about. */
  readonly bytes: number;
  /** Number of binary parts: a Socket.IO packet may have few. */
  readonly binaryParts: number;
  /** Binary parts become base64 text, which is a third longer. */
  readonly asText: boolean;
}

/** Fields of a message in an answer that its entry does not have: `sequence` and `epoch`. */
const fieldsBytes = 64;

/** Counts what a page holds. */
export class PageMeter {
  private messages = 0;
  private bytes = 0;
  private binaryParts = 0;

  constructor(private readonly limits: PageLimits) {}

  /** Counts a message if it fits; the first one always does. */
  take({ entry }: LogEntry): boolean {
    const parts = viewHeader(entry)?.attachments ?? [];
    const { limit, bytes, binaryParts, asText } = this.limits;
    const longer = asText ? parts.reduce((sum, part) => sum + part, 0) / 3 : 0;
    const size = entry.length + fieldsBytes + longer;
    const fits =
      this.messages < limit && this.bytes + size <= bytes && this.binaryParts + parts.length <= binaryParts;
    if (!fits && this.messages > 0) return false;
    this.messages++;
    this.bytes += size;
    this.binaryParts += parts.length;
    return true;
  }
}

/** As many of the messages as fit into a page, from the first one on (`oldest`), or up to the last one (`newest`). */
export function fitPage(
  entries: readonly LogEntry[],
  limits: PageLimits,
  keep: 'oldest' | 'newest',
): readonly LogEntry[] {
  const meter = new PageMeter(limits);
  if (keep === 'oldest') {
    const end = entries.findIndex((item) => !meter.take(item));
    return end < 0 ? entries : entries.slice(0, end);
  }
  const start = entries.findLastIndex((item) => !meter.take(item));
  return entries.slice(start + 1);
}
