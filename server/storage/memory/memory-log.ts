import { randomBytes } from 'node:crypto';
import type { Position } from '../../../shared/position.js';
import type { AppendReceipt, LogEnd, LogEntry } from '../../log/broker.js';
import type { SenderShares } from './sender-shares.js';

/** Memory in bytes. */
export interface MemoryOfLog {
  readonly total: number;
  /** Of that, what stays until it expires. */
  readonly fixed: number;
}

/** The log of one topic. */
export interface MemoryLog {
  readonly firstEpoch: string;
  epoch: string;
  /** Ends of earlier epochs, newest first. */
  previous: Position[];
  sequence: number;
  /** In order; entries before `head` have been trimmed. */
  entries: (LogEntry | undefined)[];
  head: number;
  entriesExpireAt: number;
  expireAt: number;
  /** Undefined if the log has no limits for senders. */
  readonly shares: SenderShares | undefined;
  /** Of the stored entries, approximately. */
  historyBytes: number;
  /** An inbox: its entries are never removed to make room. */
  readonly isInbox: boolean;
  /** What {@link HistoryMemory} has counted of it. */
  counted: MemoryOfLog;
  readonly keys: Map<string, { receipt: AppendReceipt; expireAt: number }>;
}

const previousMax = 64;
/** Memory that a log, an entry or a key takes beside its content. */
const logBytes = 1000;
const entryBytes = 150;
const keyBytes = 250;
/** The memory of a log that is not counted. */
export const nothing: MemoryOfLog = Object.freeze({ total: 0, fixed: 0 });

export function endOf(log: MemoryLog): LogEnd {
  return {
    epoch: log.epoch,
    sequence: log.sequence,
    firstSequence: log.entries[log.head]?.sequence ?? log.sequence + 1,
    previous: log.previous,
  };
}

/** The end of a log that has never had a message. */
export function blankEnd(epoch: string): LogEnd {
  return { epoch, sequence: 0, firstSequence: 1, previous: [] };
}

/** The first of some messages, up to a limit in bytes; at least one. */
export function takePage(limitBytes: number, found: () => Iterable<LogEntry>) {
  const entries: LogEntry[] = [];
  let bytes = 0;
  for (const item of found()) {
    bytes += item.entry.length;
    if (entries.length > 0 && bytes > limitBytes) return { entries, truncated: true };
    entries.push(item);
  }
  return { entries, truncated: false };
}

/** The history has expired: the log continues under a new epoch. */
export function dropHistory(log: MemoryLog): void {
  if (log.head === log.entries.length) return;
  log.shares?.clear();
  log.historyBytes = 0;
  log.entries = [];
  log.head = 0;
  log.previous = [{ epoch: log.epoch, sequence: log.sequence }, ...log.previous].slice(0, previousMax);
  log.epoch = newEpoch();
}

export function newEpoch(): string {
  return randomBytes(8).toString('hex').slice(0, 10);
}

/**
 * Drops the oldest entries. The array is compacted only from time to time, so that trimming stays O(1) per
 * message.
 */
export function trim(log: MemoryLog, size: number): void {
  while (log.entries.length - log.head > size) dropOldest(log);
  compact(log);
}

/** Drops the oldest entries until the rest takes no more than this. Returns their number. */
export function trimTo(log: MemoryLog, bytes: number): number {
  const before = log.head;
  while (log.historyBytes > bytes && log.head < log.entries.length) dropOldest(log);
  const dropped = log.head - before;
  compact(log);
  return dropped;
}

/** Memory of an entry. */
export function bytesOf({ entry }: LogEntry): number {
  return entry.length + entryBytes;
}

/** What a log takes. A log without a message belongs to its subscriptions, and goes with them. */
export function memoryOf({ sequence, keys, historyBytes, isInbox }: MemoryLog): MemoryOfLog {
  if (sequence === 0) return nothing;
  const overhead = logBytes + keys.size * keyBytes;
  return { total: overhead + historyBytes, fixed: isInbox ? overhead + historyBytes : overhead };
}

function dropOldest(log: MemoryLog): void {
  log.historyBytes -= bytesOf(log.entries[log.head]!);
  log.entries[log.head++] = undefined;
}

function compact(log: MemoryLog): void {
  if (log.head > 1024 && log.head > log.entries.length / 2) {
    log.entries = log.entries.slice(log.head);
    log.head = 0;
  }
}

/** Index of the first entry with a sequence greater than `after` (binary search: sequences ascend). */
export function firstAfter({ entries, head }: MemoryLog, after: number): number {
  let low = head;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (entries[middle]!.sequence > after) high = middle;
    else low = middle + 1;
  }
  return low;
}
