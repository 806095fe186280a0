import type { LogEntry } from '../log/broker.js';
import type { Message } from '../../shared/message.js';
import { entryToMessage, isTraced } from '../log/entry.js';
import { jsonFrames, socketIoFrames, socketIoPackets, type AckIdOf, type DeliveryEvent } from './frames.js';

/** Entries of one epoch, consecutive in the log. */
export interface Segment {
  readonly epoch: string;
  readonly entries: readonly LogEntry[];
}

/**
 * Messages of one topic that are delivered to many connections. The bytes of each wire are encoded once, when
 * the first connection of that wire needs them, and shared by all.
 */
export class DeliveryBatch {
  readonly count: number;
  /** Bytes of the log entries. Outboxes count these. */
  readonly bytes: number;
  /** A list with only this batch, for writes without other batches. */
  readonly alone: readonly DeliveryBatch[] = [this];
  private frames: Buffer | undefined;
  private packets: (string | Buffer)[] | undefined;
  private json: Buffer | undefined;
  private marked: readonly LogEntry[] | undefined;

  constructor(
    readonly topic: string,
    readonly segments: readonly Segment[],
    readonly event: DeliveryEvent = 'message',
    private readonly ackIdOf?: AckIdOf,
  ) {
    let count = 0;
    let bytes = 0;
    for (const { entries } of segments) {
      count += entries.length;
      for (const item of entries) bytes += item.entry.length;
    }
    this.count = count;
    this.bytes = bytes;
  }

  /** The messages of this batch that are being traced; usually none. */
  get traced(): readonly LogEntry[] {
    return (this.marked ??= tracedOf(this.segments));
  }

  get firstSequence(): number {
    return this.segments[0]!.entries[0]!.sequence;
  }

  get lastSequence(): number {
    const entries = this.segments[this.segments.length - 1]!.entries;
    return entries[entries.length - 1]!.sequence;
  }

  get lastEpoch(): string {
    return this.segments[this.segments.length - 1]!.epoch;
  }

  /** The messages as objects: only for listeners to outgoing events, never for the delivery itself. */
  *messages(): Iterable<Message> {
    for (const { epoch, entries } of this.segments)
      for (const { entry, sequence } of entries) yield entryToMessage(entry, sequence, epoch, 'buffer');
  }

  /** For Socket.IO connections on a WebSocket. */
  socketIoFrames(): Buffer {
    return (this.frames ??= join(
      this.segments.map((segment) =>
        socketIoFrames(this.event, segment.epoch, segment.entries, this.ackIdOf),
      ),
    ));
  }

  /** For Socket.IO connections on any other transport. */
  socketIoPackets(): readonly (string | Buffer)[] {
    return (this.packets ??= this.segments.flatMap((segment) =>
      socketIoPackets(this.event, segment.epoch, segment.entries, this.ackIdOf),
    ));
  }

  /** For `/ws` connections. */
  jsonFrames(): Buffer {
    return (this.json ??= join(
      this.segments.map((segment) => jsonFrames(this.event, segment.epoch, segment.entries)),
    ));
  }
}

const none: readonly LogEntry[] = [];

function tracedOf(segments: readonly Segment[]): readonly LogEntry[] {
  let traced: LogEntry[] | undefined;
  for (const { entries } of segments) {
    for (const item of entries) if (isTraced(item.entry)) (traced ??= []).push(item);
  }
  return traced ?? none;
}

function join(parts: Buffer[]): Buffer {
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}
