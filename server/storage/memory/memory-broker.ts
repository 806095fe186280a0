import { randomBytes } from 'node:crypto';
import type { Position } from '../../../shared/position.js';
import type {
  AppendEntry,
  AppendReceipt,
  Batch,
  Broker,
  BrokerListener,
  LogEnd,
  LogEntry,
  LogSlice,
  Retention,
} from '../../log/broker.js';
import { logIsFull, shareIsUsedUp } from '../../log/full-log.js';
import { SenderShares } from './sender-shares.js';

interface MemoryBrokerDependencies {
  readonly retentionOf: (topic: string) => Retention;
  readonly now: () => number;
}

interface MemoryLog {
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
  readonly keys: Map<string, { receipt: AppendReceipt; expireAt: number }>;
}

const sweepMs = 1000;
const previousMax = 8;
/** The position of a log is kept longer than its history by this. */
const positionGraceMs = 60_000;

/** The log of a single process, in its memory. It meets the same contract, and ends with the process. */
export class MemoryBroker implements Broker {
  readonly state = 'up';
  private readonly logs = new Map<string, MemoryLog>();
  private readonly followed = new Set<string>();
  private listener: BrokerListener | undefined;
  private readonly sweep: NodeJS.Timeout;

  constructor(private readonly dependencies: MemoryBrokerDependencies) {
    this.sweep = setInterval(() => this.expire(), sweepMs);
    this.sweep.unref();
  }

  setListener(listener: BrokerListener): void {
    this.listener = listener;
  }

  append(topic: string, entries: readonly AppendEntry[]): Promise<AppendReceipt[]> {
    const retention = this.dependencies.retentionOf(topic);
    const now = this.dependencies.now();
    const log = this.log(topic, retention);
    if (retention.fullAt > 0 && log.entries.length >= retention.fullAt) return Promise.reject(logIsFull());
    const firstSequence = log.sequence + 1;
    const published: Buffer[] = [];
    const receivers = this.followed.has(topic) ? 1 : 0;
    const receipts = entries.map((item): AppendReceipt => {
      const key = keyOf(item);
      const known = key === undefined ? undefined : log.keys.get(key);
      if (known !== undefined && known.expireAt > now) return { ...known.receipt, duplicate: true };
      if (retention.shares !== undefined && log.shares?.admit(item.entry, retention.shares) === false)
        return {
          id: item.id,
          epoch: log.epoch,
          sequence: 0,
          duplicate: false,
          durability: 'memory',
          refusal: shareIsUsedUp(retention.shares),
        };
      const sequence = ++log.sequence;
      if (retention.historySize > 0) log.entries.push({ sequence, entry: item.entry });
      published.push(item.entry);
      const receipt: AppendReceipt = {
        id: item.id,
        epoch: log.epoch,
        sequence,
        duplicate: false,
        durability: 'memory',
        receivers,
      };
      if (key !== undefined) {
        // Deleted first, so that the insertion order stays the order of expiry.
        log.keys.delete(key);
        log.keys.set(key, { receipt, expireAt: now + retention.idempotencyMs });
      }
      return receipt;
    });
    trim(log, retention.historySize);
    log.entriesExpireAt = now + retention.historyTtlMs;
    log.expireAt = log.entriesExpireAt + positionGraceMs;
    if (published.length > 0 && receivers > 0) {
      const batch: Batch = {
        topic,
        epoch: log.epoch,
        firstSequence,
        previous: log.previous,
        entries: published,
      };
      // Delivered as over a network: in order, and never inside the call that publishes.
      queueMicrotask(() => this.listener?.onBatch(batch));
    }
    return Promise.resolve(receipts);
  }

  async read(topic: string, after: number, limit: number): Promise<LogSlice> {
    const log = this.log(topic);
    const from = firstAfter(log, after);
    const entries = log.entries.slice(from, from + limit).filter((item) => item !== undefined);
    return { end: endOf(log), entries };
  }

  async readLast(topic: string, limit: number): Promise<LogSlice> {
    const log = this.log(topic);
    const from = Math.max(log.head, log.entries.length - limit);
    return { end: endOf(log), entries: log.entries.slice(from).filter((item) => item !== undefined) };
  }

  async ends(topics: readonly string[]): Promise<LogEnd[]> {
    return topics.map((topic) => endOf(this.log(topic)));
  }

  async follow(topic: string): Promise<void> {
    this.followed.add(topic);
  }

  async unfollow(topic: string): Promise<void> {
    this.followed.delete(topic);
  }

  async remove(topic: string, sequences: readonly number[]): Promise<number> {
    const log = this.log(topic);
    const removed = new Set(sequences);
    const before = log.entries.length - log.head;
    for (const item of log.entries)
      if (item !== undefined && removed.has(item.sequence)) log.shares?.remove(item.entry);
    log.entries = log.entries
      .slice(log.head)
      .filter((item) => item !== undefined && !removed.has(item.sequence));
    log.head = 0;
    return before - log.entries.length;
  }

  async purge(topic: string): Promise<number> {
    const log = this.log(topic);
    const removed = log.entries.length - log.head;
    log.entries = [];
    log.head = 0;
    log.shares?.clear();
    return removed;
  }

  async close(): Promise<void> {
    clearInterval(this.sweep);
    this.logs.clear();
    this.followed.clear();
  }

  private log(topic: string, retention = this.dependencies.retentionOf(topic)): MemoryLog {
    const now = this.dependencies.now();
    let log = this.logs.get(topic);
    if (log !== undefined && log.expireAt <= now && !this.followed.has(topic)) log = undefined;
    if (log === undefined) {
      const entriesExpireAt = now + retention.historyTtlMs;
      log = {
        epoch: newEpoch(),
        previous: [],
        sequence: 0,
        entries: [],
        head: 0,
        entriesExpireAt,
        expireAt: entriesExpireAt + positionGraceMs,
        shares: retention.shares === undefined ? undefined : new SenderShares(),
        keys: new Map(),
      };
      this.logs.set(topic, log);
    }
    if (log.entriesExpireAt <= now) dropHistory(log);
    return log;
  }

  private expire(): void {
    const now = this.dependencies.now();
    for (const [topic, log] of this.logs) {
      for (const [key, { expireAt }] of log.keys) {
        // The insertion order is the order of expiry.
        if (expireAt > now) break;
        log.keys.delete(key);
      }
      if (log.entriesExpireAt <= now) dropHistory(log);
      if (log.expireAt <= now && !this.followed.has(topic)) this.logs.delete(topic);
    }
  }
}

/** The idempotency key of a message, with its owner if it has one. */
function keyOf({ key, keyOwner }: AppendEntry): string | undefined {
  return key === undefined || keyOwner === undefined ? key : `${JSON.stringify(keyOwner)}${key}`;
}

function endOf(log: MemoryLog): LogEnd {
  return {
    epoch: log.epoch,
    sequence: log.sequence,
    firstSequence: log.entries[log.head]?.sequence ?? log.sequence + 1,
    previous: log.previous,
  };
}

/** The history has expired: the log continues under a new epoch. */
function dropHistory(log: MemoryLog): void {
  if (log.head === log.entries.length) return;
  log.shares?.clear();
  log.entries = [];
  log.head = 0;
  log.previous = [{ epoch: log.epoch, sequence: log.sequence }, ...log.previous].slice(0, previousMax);
  log.epoch = newEpoch();
}

function newEpoch(): string {
  return randomBytes(8).toString('hex').slice(0, 10);
}

/**
 * Drops the oldest entries. The array is compacted only from time to time, so that trimming stays O(1) per
 * message.
 */
function trim(log: MemoryLog, size: number): void {
  while (log.entries.length - log.head > size) log.entries[log.head++] = undefined;
  if (log.head > 1024 && log.head > log.entries.length / 2) {
    log.entries = log.entries.slice(log.head);
    log.head = 0;
  }
}

/** Index of the first entry with a sequence greater than `after` (binary search: sequences ascend). */
function firstAfter({ entries, head }: MemoryLog, after: number): number {
  let low = head;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (entries[middle]!.sequence > after) high = middle;
    else low = middle + 1;
  }
  return low;
}
