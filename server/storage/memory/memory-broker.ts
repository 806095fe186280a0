import { positionGraceMs, readLimitBytes } from '../../log/broker.js';
import type {
  AppendEntry,
  AppendReceipt,
  Batch,
  Broker,
  BrokerListener,
  LogEnd,
  LogSize,
  LogSlice,
  Retention,
} from '../../log/broker.js';
import { systemClock, type Clock } from '../../primitives/clock.js';
import { TurnSlices } from '../../primitives/turn-slices.js';
import { logIsFull, refusedReceipt, shareIsUsedUp } from '../../log/full-log.js';
import { epochAt } from '../../log/lineage.js';
import {
  blankEnd,
  bytesOf,
  dropHistory,
  endOf,
  firstAfter,
  newEpoch,
  nothing,
  takePage,
  trim,
  type MemoryLog,
} from './memory-log.js';
import { HistoryMemory } from './history-memory.js';
import { SenderShares } from './sender-shares.js';

interface MemoryBrokerDependencies {
  readonly retentionOf: (topic: string) => Retention;
  readonly now: () => number;
  /** The limit of memory; undefined: none. */
  readonly memory?: HistoryMemory;
  /** For the turns of reads; undefined: that of Node. */
  readonly clock?: Pick<Clock, 'now' | 'setImmediate'>;
}

const sweepMs = 1000;
/** Reads take this long in one turn of the event loop, in milliseconds. */
const readSliceMs = 4;

/** The log of a single process, in its memory. It meets the same contract, and ends with the process. */
export class MemoryBroker implements Broker {
  readonly state = 'up';
  readonly sharesAppends = false;
  private readonly logs = new Map<string, MemoryLog>();
  private readonly followed = new Set<string>();
  /**
   * The epoch of every log that has neither a message nor a follower: such logs take no memory, whatever names
   * clients look at. It changes when a log that began in it is forgotten, so that the next log of that name is another one.
   */
  private blankEpoch = newEpoch();
  private listener: BrokerListener | undefined;
  /** Stored in this turn, and not delivered yet. */
  private undelivered: Batch[] = [];
  private readonly sweep: NodeJS.Timeout;
  /**
   * No read waits for a network here: without turns, a command with tens of thousands of reads, such as `missed` with all
   * topics of a connection, would let nothing else run before its end.
   */
  private readonly readTurns: TurnSlices;

  constructor(private readonly dependencies: MemoryBrokerDependencies) {
    this.readTurns = new TurnSlices({ clock: dependencies.clock ?? systemClock }, { sliceMs: readSliceMs });
    this.sweep = setInterval(() => this.expire(), sweepMs);
    this.sweep.unref();
  }

  /** Whether a topic has had messages, so that another one takes no memory but that of older ones. */
  isKept(topic: string): boolean {
    const log = this.stored(topic);
    return log !== undefined && log.sequence > 0 && !log.isInbox;
  }

  setListener(listener: BrokerListener): void {
    this.listener = listener;
  }

  append(topic: string, entries: readonly AppendEntry[]): Promise<AppendReceipt[]> {
    const retention = this.dependencies.retentionOf(topic);
    const now = this.dependencies.now();
    if (!this.hasRoom(topic)) return Promise.reject(this.dependencies.memory!.refusal());
    const kept = this.stored(topic);
    const isBlank = kept === undefined || kept.sequence === 0;
    if (isBlank && entries.every(({ noNewTopic }) => noNewTopic !== undefined))
      return Promise.resolve(entries.map(({ id, noNewTopic }) => refusedReceipt(id, noNewTopic!())));
    const log = kept ?? this.create(topic, retention);
    const known = (item: AppendEntry) => {
      const key = keyOf(item);
      const first = key === undefined ? undefined : log.keys.get(key);
      return first !== undefined && first.expireAt > now ? { ...first.receipt, duplicate: true } : undefined;
    };
    if (retention.fullAt > 0 && log.entries.length >= retention.fullAt) {
      retention.shares?.onFull?.(entries.filter((item) => known(item) === undefined).length);
      if (!entries.some(known)) return Promise.reject(logIsFull());
      return Promise.resolve(entries.map((item) => known(item) ?? refusedReceipt(item.id, logIsFull())));
    }
    const firstSequence = log.sequence + 1;
    const published: Buffer[] = [];
    const receivers = this.followed.has(topic) ? 1 : 0;
    const receipts = entries.map((item): AppendReceipt => {
      const key = keyOf(item);
      const first = known(item);
      if (first !== undefined) return first;
      if (retention.shares !== undefined && log.shares?.admit(item.entry, retention.shares) === false)
        return refusedReceipt(item.id, shareIsUsedUp(retention.shares));
      const sequence = ++log.sequence;
      if (retention.historySize > 0) {
        const stored = { sequence, entry: item.entry };
        log.entries.push(stored);
        log.historyBytes += bytesOf(stored);
      }
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
    log.expireAt = Math.max(log.expireAt, log.entriesExpireAt + positionGraceMs);
    // Its keys go with it.
    if (entries.some(({ key }) => key !== undefined))
      log.expireAt = Math.max(log.expireAt, now + retention.idempotencyMs);
    this.dependencies.memory?.count(log);
    if (published.length > 0 && receivers > 0) {
      const batch: Batch = {
        topic,
        epoch: log.epoch,
        firstSequence,
        entries: published,
      };
      // Delivered as over a network: in order, and never inside the call that publishes.
      if (this.undelivered.push(batch) === 1) queueMicrotask(this.deliver);
    }
    if (log.shares === undefined) return Promise.resolve(receipts);
    const held = sizeOf(log);
    const isNew = ({ refusal, duplicate }: AppendReceipt) => refusal === undefined && !duplicate;
    return Promise.resolve(receipts.map((receipt) => (isNew(receipt) ? { ...receipt, held } : receipt)));
  }

  read(topic: string, after: number, limit: number, limitBytes: number = readLimitBytes): Promise<LogSlice> {
    return this.inTurn(() => this.readNow(topic, after, limit, limitBytes));
  }

  readLast(
    topic: string,
    limit: number,
    limitBytes: number = readLimitBytes,
    before = Infinity,
  ): Promise<LogSlice> {
    return this.inTurn(() => this.readLastNow(topic, limit, limitBytes, before));
  }

  private inTurn(read: () => LogSlice): Promise<LogSlice> {
    return new Promise((resolve, reject) => {
      this.readTurns.run(() => {
        // In a later turn, what is thrown would end the process, and nobody would be answered.
        try {
          resolve(read());
        } catch (error) {
          reject(error as Error);
        }
      });
    });
  }

  private readNow(topic: string, after: number, limit: number, limitBytes: number): LogSlice {
    const log = this.known(topic);
    if (log === undefined) return { end: blankEnd(this.blankEpoch), entries: [], truncated: false };
    const from = firstAfter(log, after);
    const page = takePage(limitBytes, function* () {
      for (let i = from; i < Math.min(from + limit, log.entries.length); i++) yield log.entries[i]!;
    });
    return { end: endOf(log), ...page };
  }

  private readLastNow(topic: string, limit: number, limitBytes: number, before: number): LogSlice {
    const log = this.known(topic);
    if (log === undefined) return { end: blankEnd(this.blankEpoch), entries: [], truncated: false };
    const to = before === Infinity ? log.entries.length : firstAfter(log, before - 1);
    const page = takePage(limitBytes, function* () {
      for (let i = to - 1; i >= Math.max(log.head, to - limit); i--) yield log.entries[i]!;
    });
    page.entries.reverse();
    return { end: endOf(log), ...page };
  }

  async ends(topics: readonly string[]): Promise<LogEnd[]> {
    return topics.map((topic) => {
      const log = this.known(topic);
      return log === undefined ? blankEnd(this.blankEpoch) : endOf(log);
    });
  }

  async sizes(topics: readonly string[]): Promise<LogSize[]> {
    return topics.map((topic) => {
      const log = this.stored(topic);
      return log === undefined ? { messages: 0, bytes: 0 } : sizeOf(log);
    });
  }

  async follow(topic: string): Promise<void> {
    this.followed.add(topic);
  }

  async unfollow(topic: string): Promise<void> {
    this.followed.delete(topic);
    const log = this.logs.get(topic);
    if (log?.sequence === 0 && log.epoch === this.blankEpoch) this.forget(topic, log);
  }

  async remove(topic: string, sequences: readonly number[], epoch?: string): Promise<number> {
    const log = this.stored(topic);
    if (log === undefined) return 0;
    const isNamed = (sequence: number) => epoch === undefined || epochAt(log, sequence) === epoch;
    const removed = new Set(sequences.filter(isNamed));
    const before = log.entries.length - log.head;
    for (const item of log.entries) {
      if (item === undefined || !removed.has(item.sequence)) continue;
      log.shares?.remove(item.entry);
      log.historyBytes -= bytesOf(item);
    }
    log.entries = log.entries
      .slice(log.head)
      .filter((item) => item !== undefined && !removed.has(item.sequence));
    log.head = 0;
    this.dependencies.memory?.count(log);
    return before - log.entries.length;
  }

  async purge(topic: string): Promise<number> {
    const log = this.stored(topic);
    if (log === undefined) return 0;
    const removed = log.entries.length - log.head;
    log.entries = [];
    log.head = 0;
    log.shares?.clear();
    log.historyBytes = 0;
    this.dependencies.memory?.count(log);
    return removed;
  }

  async close(): Promise<void> {
    clearInterval(this.sweep);
    for (const log of this.logs.values()) this.dependencies.memory?.forget(log);
    this.logs.clear();
    this.followed.clear();
  }

  /** The log of a topic, if it has a message or a follower. Subscribing is possible when the memory is full. */
  private known(topic: string): MemoryLog | undefined {
    const log = this.stored(topic);
    if (log !== undefined || !this.followed.has(topic)) return log;
    return this.create(topic, this.dependencies.retentionOf(topic));
  }

  private stored(topic: string): MemoryLog | undefined {
    const log = this.logs.get(topic);
    if (log === undefined) return undefined;
    const now = this.dependencies.now();
    if (log.expireAt <= now && !this.followed.has(topic)) {
      this.forget(topic, log);
      return undefined;
    }
    if (log.entriesExpireAt <= now) this.dropHistory(log);
    return log;
  }

  private create(topic: string, { historyTtlMs, shares, fullAt }: Retention): MemoryLog {
    const entriesExpireAt = this.dependencies.now() + historyTtlMs;
    const log: MemoryLog = {
      firstEpoch: this.blankEpoch,
      epoch: this.blankEpoch,
      previous: [],
      sequence: 0,
      entries: [],
      head: 0,
      entriesExpireAt,
      expireAt: entriesExpireAt + positionGraceMs,
      historyBytes: 0,
      isInbox: fullAt > 0,
      counted: nothing,
      shares: shares === undefined ? undefined : new SenderShares(),
      keys: new Map(),
    };
    this.logs.set(topic, log);
    return log;
  }

  private forget(topic: string, log: MemoryLog): void {
    this.dependencies.memory?.forget(log);
    this.logs.delete(topic);
    if (log.sequence > 0 && log.firstEpoch === this.blankEpoch) this.blankEpoch = newEpoch();
  }

  private expire(): void {
    const now = this.dependencies.now();
    const { memory } = this.dependencies;
    for (const [topic, log] of this.logs) {
      const keys = log.keys.size;
      for (const [key, { expireAt }] of log.keys) {
        // The insertion order is the order of expiry.
        if (expireAt > now) break;
        log.keys.delete(key);
      }
      if (log.keys.size < keys) memory?.count(log);
      if (log.entriesExpireAt <= now) this.dropHistory(log);
      if (log.expireAt <= now && !this.followed.has(topic)) this.forget(topic, log);
    }
  }

  private readonly deliver = (): void => {
    const { undelivered } = this;
    this.undelivered = [];
    for (const batch of undelivered) this.listener?.onBatch(batch);
  };

  private dropHistory(log: MemoryLog): void {
    dropHistory(log);
    this.dependencies.memory?.count(log);
  }

  /** Makes room in the limit of memory. False if there is none: only unread direct messages and keys are left. */
  private hasRoom(topic: string): boolean {
    const { memory, now } = this.dependencies;
    if (memory === undefined || !memory.isFull) return true;
    const trimmable = () => [...this.logs.values()].filter(({ isInbox }) => !isInbox);
    return memory.makeRoom(trimmable, now(), topic);
  }
}

/** The idempotency key of a message, with its owner if it has one. */
function keyOf({ key, keyOwner }: AppendEntry): string | undefined {
  return key === undefined || keyOwner === undefined ? key : `${JSON.stringify(keyOwner)}${key}`;
}

function sizeOf({ entries, head, shares }: MemoryLog): LogSize {
  return { messages: entries.length - head, bytes: shares?.bytes };
}
