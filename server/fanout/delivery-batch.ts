import type { LogEntry } from '../log/broker.js';
import { isTraced } from '../log/entry.js';
import { jsonFrames, socketIoFrames, socketIoPackets, type AckIdOf, type DeliveryEvent } from './frames.js';

/** Entries of one epoch, consecutive in the log. */
export interface Run {
  readonly epoch: string;
  readonly entries: readonly LogEntry[];
}

/**
 * Messages of one topic on their way to many connections. Each wire's bytes are made once, when the first connection of that kind needs
 * them, and shared by all.
 */
export class DeliveryBatch {
  readonly count: number;
  /** Bytes of the log entries: what an outbox accounts for. */
  readonly bytes: number;
  /** This batch as a list of one, for writes that hold nothing else. */
  readonly alone: readonly DeliveryBatch[] = [this];
  private frames: Buffer | undefined;
  private packets: (string | Buffer)[] | undefined;
  private json: Buffer | undefined;
  private marked: readonly LogEntry[] | undefined;

  constructor(
    readonly topic: string,
    readonly runs: readonly Run[],
    private readonly event: DeliveryEvent = 'message',
    private readonly ackIdOf?: AckIdOf,
  ) {
    let count = 0;
    let bytes = 0;
    for (const { entries } of runs) {
      count += entries.length;
      for (const item of entries) bytes += item.entry.length;
    }
    this.count = count;
    this.bytes = bytes;
  }

  /** Those of its messages that are being traced; usually none. */
  get traced(): readonly LogEntry[] {
    return (this.marked ??= tracedOf(this.runs));
  }

  get firstSequence(): number {
    return this.runs[0]!.entries[0]!.sequence;
  }

  get lastSequence(): number {
    const entries = this.runs[this.runs.length - 1]!.entries;
    return entries[entries.length - 1]!.sequence;
  }

  get lastEpoch(): string {
    return this.runs[this.runs.length - 1]!.epoch;
  }

  /** For Socket.IO connections on a WebSocket. */
  socketIoFrames(): Buffer {
    return (this.frames ??= join(
      this.runs.map((run) => socketIoFrames(this.event, run.epoch, run.entries, this.ackIdOf)),
    ));
  }

  /** For Socket.IO connections on any other transport. */
  socketIoPackets(): readonly (string | Buffer)[] {
    return (this.packets ??= this.runs.flatMap((run) =>
      socketIoPackets(this.event, run.epoch, run.entries, this.ackIdOf),
    ));
  }

  /** For `/ws` connections. */
  jsonFrames(): Buffer {
    return (this.json ??= join(this.runs.map((run) => jsonFrames(this.event, run.epoch, run.entries))));
  }
}

const none: readonly LogEntry[] = [];

function tracedOf(runs: readonly Run[]): readonly LogEntry[] {
  let traced: LogEntry[] | undefined;
  for (const { entries } of runs) {
    for (const item of entries) if (isTraced(item.entry)) (traced ??= []).push(item);
  }
  return traced ?? none;
}

function join(parts: Buffer[]): Buffer {
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}
