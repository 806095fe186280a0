import type { Position } from '../../shared/position.js';
import { DeliveryBatch, type Segment } from './delivery-batch.js';
import type { Broker, LogEntry, LogSlice } from '../log/broker.js';
import { epochAt } from '../log/lineage.js';

/**
 * Sequences in one block: at most this many messages are written at once to a subscriber that is catching up.
 */
const blockSize = 64;

/** The next block for a subscriber that is catching up. */
interface NextBlock {
  /** Messages between the reader's position and `lostUpTo` are no longer in the log. */
  readonly lostUpTo?: Position;
  readonly batch?: DeliveryBatch;
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
  private readonly kept = new Map<string, DeliveryBatch>();
  private readonly reading = new Map<string, Reading>();
  private keptBytes = 0;

  constructor(
    private readonly broker: Broker,
    private readonly limitBytes: number,
  ) {}

  /** The messages after `after` up to the end of their block, and not beyond `upTo`. */
  async next(topic: string, after: number, upTo: number): Promise<NextBlock> {
    const start = Math.floor(after / blockSize) * blockSize;
    const name = `${topic}\n${start}`;
    const known = this.kept.get(name);
    if (known !== undefined && after === start && known.lastSequence <= upTo) {
      this.kept.delete(name);
      this.kept.set(name, known);
      return { batch: known };
    }
    const reading = this.read(name, topic, start);
    const slice = await reading.slice;
    if (reading.stale) return {};
    // A shared read may be older than `upTo`: the next call returns what it does not contain.
    const end = Math.min(start + blockSize, upTo, slice.end.sequence);
    if (end <= after) return {};
    const entries = slice.entries.filter((item) => item.sequence > after && item.sequence <= end);
    const first = entries[0]?.sequence ?? Math.max(end + 1, Math.min(slice.end.firstSequence, upTo + 1));
    const lost =
      first > after + 1 ? { sequence: first - 1, epoch: epochAt(slice.end, first - 1) } : undefined;
    const batch = entries.length === 0 ? undefined : new DeliveryBatch(topic, segmentsOf(slice, entries));
    if (batch !== undefined && lost === undefined && after === start && batch.count === blockSize)
      this.keep(name, batch);
    return { ...(lost && { lostUpTo: lost }), ...(batch && { batch }) };
  }

  /** Discards the blocks of a topic: its log was lost, or the topic is no longer active. */
  forget(topic: string): void {
    for (const [name, batch] of this.kept) {
      if (batch.topic === topic) this.drop(name, batch);
    }
    for (const [name, reading] of this.reading) {
      if (reading.topic !== topic) continue;
      reading.stale = true;
      this.reading.delete(name);
    }
  }

  private read(name: string, topic: string, start: number): Reading {
    const under = this.reading.get(name);
    if (under !== undefined) return under;
    const slice = this.broker.read(topic, start, blockSize).finally(() => {
      if (!reading.stale) this.reading.delete(name);
    });
    const reading: Reading = { topic, slice, stale: false };
    this.reading.set(name, reading);
    return reading;
  }

  private keep(name: string, batch: DeliveryBatch): void {
    this.kept.set(name, batch);
    // Counts the entries and one encoding of them.
    this.keptBytes += batch.bytes * 2;
    for (const [oldest, its] of this.kept) {
      if (this.keptBytes <= this.limitBytes) break;
      this.drop(oldest, its);
    }
  }

  private drop(name: string, batch: DeliveryBatch): void {
    this.kept.delete(name);
    this.keptBytes -= batch.bytes * 2;
  }
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
