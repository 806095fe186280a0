import type { Position } from '../../shared/position.js';
import type { Log } from '../logging/log.js';
import type { Clock } from '../primitives/clock.js';
import type { Batch, Broker, LogEnd, LogEntry } from './broker.js';
import { epochAt, isPositionIn, sharedSequence, type Lineage } from './lineage.js';

/** Reasons for messages missing from a feed. */
export type GapReason = 'log_lost' | 'log_rolled_back' | 'history_trimmed';

/** Receives a log in order: every message once, or a gap with the range of messages that are lost. */
export interface OrderedSink {
  /** Consecutive or ascending entries of one epoch. */
  deliver(epoch: string, entries: readonly LogEntry[]): void;
  /** Messages after `from`, up to `to`, are lost to this feed. It continues after `to`. */
  gap(from: Position, to: Position, reason: GapReason): void;
  /** The log goes on under a new epoch. It has everything up to this position, in that epoch, and so has the sink. */
  goesOn?(position: Position): void;
}

/** Consecutive entries of a followed log, in order, each once. */
export type FeedSink = (epoch: string, entries: readonly LogEntry[]) => void;

/** Called for a gap, see {@link OrderedSink.gap}. */
export type GapSink = OrderedSink['gap'];

/** A followed log that is not a topic with subscribers (a user's inbox). */
export interface Feed {
  /** Position up to which the sink has received everything. */
  readonly position: Position;
  /** The end of the log as it was read when the feed was opened; undefined if it was closed before. */
  readonly openedAt: LogEnd | undefined;
  close(): void;
}

interface FeedDependencies {
  readonly broker: Broker;
  readonly log: Log;
  readonly clock: Clock;
}

/** How a feed handles sequences missing in the middle of its log. */
interface FeedOptions {
  /** Entries are removed one by one (an inbox): a missing one is not a gap. */
  readonly sparse: boolean;
}

/**
 * Number of batches kept while a hole is filled. Past this number they are dropped and read from the log
 * instead.
 */
const waitingLimit = 1000;
const fillChunk = 500;

/**
 * Follows one log: receives the live batches of the broker and passes them on in order. A hole is filled from
 * the log before later messages are delivered.
 */
export class LogFeed {
  private lineage: Lineage = { epoch: '', sequence: 0, previous: [] };
  private waiting: Batch[] = [];
  private waitingEntries = 0;
  /** Set while a hole is filled. */
  private filling: Promise<void> | undefined;
  /** A detected hole could not be filled yet. */
  private holePending = false;
  private isFollowed = false;
  private opened = false;
  private closed = false;
  private lastTrafficAt = 0;

  constructor(
    private readonly dependencies: FeedDependencies,
    readonly topic: string,
    private readonly sink: OrderedSink,
    private readonly options: FeedOptions,
  ) {}

  /** Everything up to this position was passed to the sink. */
  get position(): Lineage {
    return this.lineage;
  }

  get isOpen(): boolean {
    return this.opened && !this.closed;
  }

  /** When the last batch arrived, on the monotonic clock, in milliseconds. */
  get lastTraffic(): number {
    return this.lastTrafficAt;
  }

  /**
   * Follows the topic and reads its end, and resolves to it. `onStart` is called with the position before anything is delivered.
   * Rejects with `unavailable` if the log is unreachable; may be called again.
   */
  async open(onStart?: (position: Position) => void): Promise<LogEnd | undefined> {
    const { broker } = this.dependencies;
    this.isFollowed = true;
    await broker.follow(this.topic);
    const [end] = await broker.ends([this.topic]);
    if (end === undefined || this.closed) return undefined;
    const { epoch, sequence, previous } = end;
    this.lineage = { epoch, sequence, previous };
    onStart?.(this.lineage);
    this.opened = true;
    this.lastTrafficAt = this.dependencies.clock.now();
    if (!this.drainWaiting()) this.fillInBackground();
    return end;
  }

  onBatch(batch: Batch): void {
    if (this.closed) return;
    this.lastTrafficAt = this.dependencies.clock.now();
    if (this.opened && this.filling === undefined && this.waiting.length === 0 && this.follows(batch)) {
      this.take(batch);
      return;
    }
    this.keep(batch);
    if (this.opened) this.fillInBackground();
  }

  /** Compares the position with the log's end, read by the caller, and reads what is missing. */
  check(end: LogEnd): void {
    if (!this.opened || this.closed) return;
    if (this.lineage.epoch === end.epoch && this.lineage.sequence >= end.sequence && !this.holePending)
      return;
    this.fillInBackground();
  }

  /**
   * Brings the feed up to a position of its log that another reader has seen: live batches may be late. Rejects if
   * the log cannot be read.
   */
  async reach(end: LogEnd): Promise<void> {
    // A fill in progress may have read before that; the second one has not.
    for (let fills = 0; fills < 2; fills++) {
      if (!this.isOpen || isPositionIn(this.lineage, end)) return;
      await this.fillOnce();
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.waiting = [];
    if (this.isFollowed) void this.dependencies.broker.unfollow(this.topic).catch(() => {});
  }

  private follows(batch: Batch): boolean {
    return batch.epoch === this.lineage.epoch && batch.firstSequence <= this.lineage.sequence + 1;
  }

  /** Delivers a batch that begins at or before the next sequence. */
  private take(batch: Batch): void {
    const skip = this.lineage.sequence + 1 - batch.firstSequence;
    if (skip >= batch.entries.length) return;
    const entries: LogEntry[] = [];
    for (let i = skip; i < batch.entries.length; i++) {
      entries.push({ sequence: batch.firstSequence + i, entry: batch.entries[i]! });
    }
    const { epoch, previous } = this.lineage;
    this.lineage = { epoch, sequence: batch.firstSequence + batch.entries.length - 1, previous };
    this.sink.deliver(batch.epoch, entries);
  }

  private keep(batch: Batch): void {
    this.waiting.push(batch);
    this.waitingEntries += batch.entries.length;
    while (this.waitingEntries > waitingLimit && this.waiting.length > 1) {
      this.waitingEntries -= this.waiting.shift()!.entries.length;
    }
  }

  private drainWaiting(): boolean {
    while (this.waiting.length > 0 && this.follows(this.waiting[0]!)) {
      const batch = this.waiting.shift()!;
      this.waitingEntries -= batch.entries.length;
      this.take(batch);
    }
    return this.waiting.length === 0;
  }

  private fillInBackground(): void {
    if (this.filling !== undefined) return;
    this.fillOnce().catch((error: unknown) => {
      this.holePending = true;
      this.dependencies.log.warn('Hole not filled yet', { topic: this.topic, error });
    });
  }

  private fillOnce(): Promise<void> {
    this.filling ??= this.fill();
    return this.filling;
  }

  /** Reads from the log until nothing is missing before the live batches. */
  private async fill(): Promise<void> {
    const { epoch } = this.lineage;
    try {
      for (;;) {
        const before = new Set(this.waiting);
        const slice = await this.dependencies.broker.read(this.topic, this.lineage.sequence, fillChunk);
        if (this.closed) return;
        // A batch of another epoch that arrived before this response belongs to a log that has ended.
        this.waiting = this.waiting.filter((batch) => batch.epoch === slice.end.epoch || !before.has(batch));
        this.waitingEntries = this.waiting.reduce((sum, batch) => sum + batch.entries.length, 0);
        const restarted = this.adopt(slice.end);
        if (restarted) continue;
        this.deliverSlice(slice.entries, slice.end);
        const complete = slice.entries.length < fillChunk && !slice.truncated;
        if (complete) this.skipTrimmed(slice.end);
        if (this.drainWaiting() && this.lineage.sequence >= slice.end.sequence) break;
        if (complete && this.waiting.length > 0 && this.waiting[0]!.epoch === this.lineage.epoch) {
          // The next read may return what was appended after this one.
          this.skipTo(Math.min(slice.end.sequence, this.waiting[0]!.firstSequence - 1), slice.end);
          this.drainWaiting();
        }
        if (this.waiting.length === 0 && this.lineage.sequence >= slice.end.sequence) break;
      }
      this.holePending = false;
      if (this.lineage.epoch !== epoch)
        this.sink.goesOn?.({ epoch: this.lineage.epoch, sequence: this.lineage.sequence });
    } finally {
      // In the same turn as the last batch: what arrives from now on is looked at again.
      this.filling = undefined;
    }
  }

  /** Changes to a new epoch. True if the position moved, so that the read result does not belong to it. */
  private adopt(end: LogEnd): boolean {
    const old = this.lineage;
    if (end.epoch === old.epoch && old.sequence <= end.sequence) return false;
    if (isPositionIn(end, old)) {
      this.lineage = {
        epoch: epochAt(end, old.sequence + 1),
        sequence: old.sequence,
        previous: end.previous,
      };
      return false;
    }
    const shared = sharedSequence(old, end);
    const sequence = shared ?? 0;
    this.lineage = { epoch: end.epoch, sequence, previous: end.previous };
    const reason = shared === undefined ? 'log_lost' : 'log_rolled_back';
    this.sink.gap(old, { epoch: end.epoch, sequence }, reason);
    return true;
  }

  private deliverSlice(entries: readonly LogEntry[], end: LogEnd): void {
    let run: LogEntry[] = [];
    const flush = (epoch: string) => {
      if (run.length === 0) return;
      const last = run[run.length - 1]!.sequence;
      this.lineage = { epoch, sequence: last, previous: end.previous };
      this.sink.deliver(epoch, run);
      run = [];
    };
    let epoch = this.lineage.epoch;
    for (const item of entries) {
      if (item.sequence <= this.lineage.sequence) continue;
      const expected = (run[run.length - 1]?.sequence ?? this.lineage.sequence) + 1;
      if (item.sequence !== expected && !this.options.sparse) {
        flush(epoch);
        this.skipTo(item.sequence - 1, end);
      }
      const entryEpoch = epochAt(end, item.sequence);
      if (entryEpoch !== epoch) {
        flush(epoch);
        epoch = entryEpoch;
      }
      run.push(item);
    }
    flush(epoch);
    if (this.lineage.sequence >= end.sequence) this.lineage = { ...end, sequence: this.lineage.sequence };
  }

  /** Messages counted by the log's end but no longer stored are lost, unless a live batch contains them. */
  private skipTrimmed(end: LogEnd): void {
    const next = this.waiting.find((batch) => batch.epoch === end.epoch);
    const reachable = next === undefined ? end.sequence : Math.min(end.sequence, next.firstSequence - 1);
    this.skipTo(reachable, end);
    if (this.lineage.sequence >= end.sequence) this.lineage = { ...end, sequence: this.lineage.sequence };
  }

  private skipTo(sequence: number, end: LogEnd): void {
    if (sequence <= this.lineage.sequence) return;
    const from = this.lineage;
    const to = { epoch: epochAt(end, sequence), sequence };
    this.lineage = { ...to, previous: end.previous };
    if (!this.options.sparse) this.sink.gap(from, to, 'history_trimmed');
  }
}
