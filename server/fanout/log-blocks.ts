import type { Position } from '../../shared/position.js';
import { CatchUpTurns } from './catch-up-turns.js';
import { DeliveryBatch, type Segment } from './delivery-batch.js';
import type { Broker, LogEnd, LogEntry, LogSlice } from '../log/broker.js';
import { countBeforeHole } from '../log/holes.js';
import { epochAt, isPositionIn } from '../log/lineage.js';

/**
 * Sequences in one block: at most this many messages are written at once to a subscriber that is catching up.
 */
const blockSize = 64;

/** Bytes of a block. A block of large messages ends before its 64 messages. */
const blockBytes = 262_144;

/** The next block for a subscriber that is catching up. */
interface NextBlock {
  /** Messages between the reader's position and `lostUpTo` are no longer in the log. */
  readonly lostUpTo?: Position;
  readonly batch?: DeliveryBatch;
  /** End of the log that was read instead, which does not continue the one that the reader follows. */
  readonly otherLog?: LogEnd;
}

/** A running read, shared by all readers that need the same block. */
interface Reading {
  readonly topic: string;
  readonly slice: Promise<LogSlice>;
  /** The log has changed since the read began: its result is not kept. */
  stale: boolean;
}

/**
 * Reads logs for subscribers that are catching up. Many of them read the same part at about the same time
 * (after a stall of many clients, or a restart of a replica). So the log is read in aligned blocks, each
 * once, and complete blocks are kept encoded for a while.
 */
export class LogBlocks {
  /** Bounds the reads of all readers that are catching up. */
  readonly turns = new CatchUpTurns();
  private readonly kept = new Map<string, DeliveryBatch>();
  /** Number of kept blocks by topic: most topics have none. */
  private readonly keptOf = new Map<string, number>();
  private readonly reading = new Map<string, Reading>();
  private keptBytes = 0;

  constructor(
    private readonly broker: Broker,
    private readonly limitBytes: number,
  ) {}

  /**
   * The messages after `after` up to the end of their block, and not beyond `written`, the position that the feed of
   * the topic has reached: only what is before it is known to be of the log that the reader follows.
   */
  async next(topic: string, after: number, written: Position): Promise<NextBlock> {
    const upTo = written.sequence;
    const known = this.kept.get(nameOf(topic, after));
    if (known !== undefined && known.lastSequence <= upTo) {
      this.kept.delete(nameOf(topic, after));
      this.kept.set(nameOf(topic, after), known);
      return { batch: known };
    }
    const blockEnd = (Math.floor(after / blockSize) + 1) * blockSize;
    let start = blockEnd - blockSize;
    let reading = this.read(topic, start, blockEnd);
    let slice = await reading.slice;
    if (!reading.stale && lastOf(slice) <= after) {
      // The messages of the block are so large that the reader has to begin inside it.
      start = after;
      reading = this.read(topic, start, blockEnd);
      slice = await reading.slice;
    }
    if (reading.stale) return {};
    if (slice.end.epoch !== written.epoch && !isPositionIn(slice.end, written))
      return { otherLog: slice.end };
    // A shared read may be older than `upTo`: the next call returns what it does not contain.
    const end = Math.min(lastOf(slice), blockEnd, upTo, slice.end.sequence);
    if (end <= after) return {};
    const found = slice.entries.filter((item) => item.sequence > after && item.sequence <= end);
    // The next call begins at the hole, and reports it.
    const entries = found.slice(0, countBeforeHole(found));
    const first = entries[0]?.sequence ?? Math.max(end + 1, Math.min(slice.end.firstSequence, upTo + 1));
    const lost =
      first > after + 1 ? { sequence: first - 1, epoch: epochAt(slice.end, first - 1) } : undefined;
    const batch = entries.length === 0 ? undefined : new DeliveryBatch(topic, segmentsOf(slice, entries));
    const isWhole =
      batch?.count === blockEnd - start || (slice.truncated && batch?.lastSequence === lastOf(slice));
    if (batch !== undefined && lost === undefined && after === start && isWhole)
      this.keep(nameOf(topic, start), batch);
    return { ...(lost && { lostUpTo: lost }), ...(batch && { batch }) };
  }

  /** Discards the blocks of a topic: its log was lost, or the topic is no longer active. */
  forget(topic: string): void {
    if (this.keptOf.has(topic)) {
      for (const [name, batch] of this.kept) {
        if (batch.topic === topic) this.drop(name, batch);
      }
    }
    for (const [name, reading] of this.reading) {
      if (reading.topic !== topic) continue;
      reading.stale = true;
      this.reading.delete(name);
    }
  }

  private read(topic: string, start: number, end: number): Reading {
    const name = nameOf(topic, start);
    const under = this.reading.get(name);
    if (under !== undefined) return under;
    const slice = this.broker.read(topic, start, end - start, blockBytes).finally(() => {
      if (!reading.stale) this.reading.delete(name);
    });
    const reading: Reading = { topic, slice, stale: false };
    this.reading.set(name, reading);
    return reading;
  }

  private keep(name: string, batch: DeliveryBatch): void {
    const before = this.kept.get(name);
    if (before !== undefined) this.drop(name, before);
    this.kept.set(name, batch);
    this.keptOf.set(batch.topic, (this.keptOf.get(batch.topic) ?? 0) + 1);
    // Counts the entries and one encoding of them.
    this.keptBytes += batch.bytes * 2;
    for (const [oldest, its] of this.kept) {
      if (this.keptBytes <= this.limitBytes) break;
      this.drop(oldest, its);
    }
  }

  private drop(name: string, batch: DeliveryBatch): void {
    this.kept.delete(name);
    const rest = this.keptOf.get(batch.topic)! - 1;
    if (rest > 0) this.keptOf.set(batch.topic, rest);
    else this.keptOf.delete(batch.topic);
    this.keptBytes -= batch.bytes * 2;
  }
}

function nameOf(topic: string, start: number): string {
  return `${topic}\n${start}`;
}

/** The sequence at which a truncated read ends; any other reads to the end of its block. */
function lastOf({ truncated, entries }: LogSlice): number {
  return truncated ? entries[entries.length - 1]!.sequence : Infinity;
}

function segmentsOf(slice: LogSlice, entries: readonly LogEntry[]): Segment[] {
  const segments: { epoch: string; entries: LogEntry[] }[] = [];
  for (const item of entries) {
    const epoch = epochAt(slice.end, item.sequence);
    const last = segments[segments.length - 1];
    if (last?.epoch === epoch) last.entries.push(item);
    else segments.push({ epoch, entries: [item] });
  }
  return segments;
}
