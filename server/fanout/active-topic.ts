import { RefusalError } from '../../shared/errors.js';
import type { Position } from '../../shared/position.js';
import type { Log } from '../logging/log.js';
import type { Clock } from '../primitives/clock.js';
import type { DeliveryRecord } from '../tracing/delivery-record.js';
import type { DeliveryTracer } from '../tracing/message-tracer.js';
import type { DeliveryCounts } from './delivery-counts.js';
import { DeliveryBatch, type Segment } from './delivery-batch.js';
import type { Outbox } from './outbox.js';
import type { Audience, Subscriber } from './subscriber.js';
import type { LogEnd, LogEntry } from '../log/broker.js';
import { CatchUp, type CatchUpTopic } from './catch-up.js';
import type { GapReason, OrderedSink } from '../log/feed.js';
import { isTraced, messageIdOf, timestampOf, viewHeader } from '../log/entry.js';
import type { FlushShare } from './flush-share.js';
import { FlushWindow, type FlushWindowSettings } from './flush-window.js';
import type { LogBlocks } from './log-blocks.js';

/** What happens when the outbox of a connection is full. */
export type OutboxOverflow = 'catch_up' | 'drop_oldest' | 'drop_newest' | 'disconnect';

/** Collects acknowledgements of messages whose publisher waits for them. */
export interface AckCollector {
  /** Called once per message and flush, with the subscribers it was written to. */
  expectAcks(item: LogEntry, ackId: number, subscribers: readonly Subscriber[]): void;
  nextAckId(): number;
}

interface ActiveTopicDependencies {
  readonly audience: Audience;
  readonly blocks: LogBlocks;
  readonly counts: DeliveryCounts;
  readonly acks: AckCollector;
  /** Called with each flush: milliseconds from the acceptance of its oldest message. */
  readonly onDelivered: (latencyMs: number) => void;
  readonly tracer: DeliveryTracer;
  /** Remembers what happened to subscribers. */
  readonly record?: Pick<DeliveryRecord, 'ended' | 'lost' | 'paused' | 'resumed'> | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** The topics of this replica with subscribers that are catching up. */
  readonly catchingUp: Set<ActiveTopic>;
  /** The log of a topic, which ends here, was read and does not continue what its feed has delivered. */
  readonly onOtherLog: (topic: string, end: LogEnd) => void;
  /** The share of the event loop that flushes of this topic may take. */
  readonly share: Pick<FlushShare, 'current'>;
  /** Requests a call of {@link ActiveTopic.flush} after a number of milliseconds. */
  readonly schedule: (topic: ActiveTopic, delayMs: number) => void;
}

interface ActiveTopicSettings {
  readonly window: FlushWindowSettings;
  readonly overflow: OutboxOverflow;
}

/** A subscriber of a topic. */
export interface SubscriptionState {
  /** Undefined: not known, because a program has joined the room. */
  readonly start: Position | undefined;
  /** Position up to which messages were passed to its transport. */
  readonly reached: Position;
  readonly state: 'live' | 'catching_up' | 'dropping' | 'leaving';
}

/** A pending batch is written at once when it grows larger than this, in bytes. */
const pendingBytesMax = 1024 * 1024;

/**
 * A topic with subscribers on this replica. Collects what its feed delivers and writes it to the live
 * subscribers as one batch. Subscribers that are catching up are handled separately.
 */
export class ActiveTopic implements OrderedSink, CatchUpTopic {
  /**
   * What the next flush writes. No empty list is kept between two flushes: V8 would move it to the old generation meanwhile, and what a list there
   * refers to stays until the next major collection, also after the list is replaced.
   */
  private pending: Segment[] | undefined;
  private pendingBytes = 0;
  private readonly window: FlushWindow;
  private readonly readers = new Map<string, CatchUp>();
  /** Subscribers that lost messages under `drop_newest`, each with the position where its gap begins. */
  private readonly dropping = new Map<string, Position>();
  /** Subscribers that will be disconnected, each with the position it had reached. */
  private readonly leaving = new Map<string, Position>();
  /** Where the subscription of each subscriber began: everything after that is written to it, once. */
  private readonly starts = new Map<string, Position>();
  private writtenTo: Position = { epoch: '', sequence: 0 };
  /** When the next flush is due, on the monotonic clock; undefined if none is planned. Set by the flusher. */
  dueAt: number | undefined;

  constructor(
    private readonly dependencies: ActiveTopicDependencies,
    readonly name: string,
    private readonly settings: ActiveTopicSettings,
  ) {
    this.window = new FlushWindow(dependencies.share, settings.window);
  }

  get written(): Position {
    return this.writtenTo;
  }

  /** When publishes that arrive now should be appended; see {@link FlushWindow.appendAt}. */
  appendAt(leadMs: number): number {
    return this.window.appendAt(this.dependencies.clock.now(), leadMs);
  }

  /** Number of subscribers that are catching up. */
  get behind(): number {
    return this.readers.size;
  }

  /** Called when the feed has opened at this position: subscribers that join now are live from it. */
  startAt(position: Position): void {
    this.writtenTo = { epoch: position.epoch, sequence: position.sequence };
  }

  /** Position up to which messages were passed to a subscriber's transport. */
  positionOf(id: string): Position {
    return this.readers.get(id)?.position ?? this.dropping.get(id) ?? this.leaving.get(id) ?? this.writtenTo;
  }

  /** How far a subscriber is, and where its subscription began. */
  subscription(id: string): SubscriptionState {
    const state = this.readers.has(id)
      ? 'catching_up'
      : this.dropping.has(id)
        ? 'dropping'
        : this.leaving.has(id)
          ? 'leaving'
          : 'live';
    return { start: this.starts.get(id), reached: this.positionOf(id), state };
  }

  /** A subscription begins after a position: of a new subscriber, or of one that goes back to an earlier position. */
  beginsAt(id: string, position: Position): void {
    this.starts.set(id, position);
  }

  /**
   * Whether everything after a position of this log was written to a subscriber, or will be, so that a subscription from there has
   * nothing to repeat. False where that is unknown, because outboxes drop messages of any topic.
   */
  covers(id: string, position: Position): boolean {
    const start = this.starts.get(id);
    if (start === undefined || this.dropping.has(id)) return false;
    return position.sequence >= start.sequence && this.settings.overflow !== 'drop_oldest';
  }

  /** A subscriber that is catching up has everything up to a position. */
  skipTo(id: string, position: Position): void {
    this.readers.get(id)?.skipTo(position);
  }

  /** Makes a subscriber catch up from an earlier position before it is live. */
  catchUpFrom(subscriber: Subscriber, position: Position): CatchUp {
    const reader = new CatchUp(this.dependencies, this, subscriber, position);
    const before = this.readers.get(subscriber.id);
    before?.stop();
    // It is still paused.
    reader.pause = before?.pause;
    this.readers.set(subscriber.id, reader);
    this.dependencies.catchingUp.add(this);
    // What was lost after that position is read again.
    this.dropping.delete(subscriber.id);
    return reader;
  }

  private forgetReader(id: string): void {
    if (this.readers.delete(id) && this.readers.size === 0) this.dependencies.catchingUp.delete(this);
  }

  left(id: string): void {
    this.remember(id);
    this.readers.get(id)?.stop();
    this.forgetReader(id);
    this.starts.delete(id);
    this.dropping.delete(id);
    this.leaving.delete(id);
  }

  close(): void {
    for (const reader of this.readers.values()) reader.stop();
    this.readers.clear();
    this.dependencies.catchingUp.delete(this);
    this.starts.clear();
    this.dropping.clear();
    this.leaving.clear();
    this.pending = undefined;
  }

  // Calls of the feed.

  deliver(epoch: string, entries: readonly LogEntry[]): void {
    const pending = (this.pending ??= []);
    const last = pending[pending.length - 1];
    if (last?.epoch === epoch) pending[pending.length - 1] = { epoch, entries: last.entries.concat(entries) };
    else pending.push({ epoch, entries });
    for (const item of entries) {
      this.pendingBytes += item.entry.length;
      if (isTraced(item.entry))
        this.dependencies.tracer.queued(messageIdOf(item.entry), this.traceFields(item));
    }
    if (this.pendingBytes >= pendingBytesMax) this.flush();
    else if (this.dueAt === undefined)
      this.dependencies.schedule(this, this.window.delayMs(this.dependencies.clock.now()));
  }

  gap(from: Position, to: Position, reason: GapReason): void {
    this.flush();
    this.writtenTo = { epoch: to.epoch, sequence: to.sequence };
    if (reason !== 'history_trimmed') this.dependencies.blocks.forget(this.name);
    const { audience } = this.dependencies;
    for (const id of audience.members(this.name) ?? []) {
      if (this.readers.has(id) || this.leaving.has(id)) continue;
      const subscriber = audience.connection(id);
      if (subscriber === undefined) continue;
      // A subscriber that already lost messages gets one gap for both losses.
      this.onLost(subscriber, this.dropping.get(id) ?? from, to, reason);
      this.dropping.delete(id);
    }
    if (reason === 'history_trimmed') return;
    for (const reader of this.readers.values()) {
      if (reason === 'log_lost' || reader.position.sequence > to.sequence)
        reader.moveTo(this.writtenTo, reason);
      else reader.readAgain();
    }
  }

  /** Otherwise a quiet topic would stay in an epoch of which, when this replica has ended, nobody knows what was received. */
  goesOn(position: Position): void {
    // What is pending says it when it is written.
    if (this.pending === undefined && this.writtenTo.sequence === position.sequence)
      this.writtenTo = position;
  }

  // Writing.

  /**
   * Writes what is pending to every live subscriber. With `staged`, writes that can be combined with those of
   * other topics are only staged: their outboxes are added to the list, and the caller writes them.
   */
  flush(staged?: Outbox[]): void {
    this.dueAt = undefined;
    const segments = this.pending;
    if (segments === undefined) return;
    const { audience, counts, acks, clock } = this.dependencies;
    const startedAt = clock.now();
    this.pending = undefined;
    this.pendingBytes = 0;
    const confirmed = this.awaited(segments);
    const batch = new DeliveryBatch(
      this.name,
      segments,
      'message',
      confirmed && ((item) => confirmed.get(item)),
    );
    const previous = this.writtenTo;
    this.writtenTo = { epoch: batch.lastEpoch, sequence: batch.lastSequence };
    const reached: Subscriber[] | undefined = confirmed && [];
    const droppedBefore = counts.dropped;
    let written = 0;
    for (const id of audience.members(this.name) ?? []) {
      if (this.readers.size > 0 && this.readers.has(id)) continue;
      if (this.leaving.size > 0 && this.leaving.has(id)) continue;
      const subscriber = audience.connection(id);
      if (subscriber === undefined) continue;
      const { outbox } = subscriber;
      if (this.dropping.size > 0 || !outbox.offer(batch, staged)) {
        if (!outbox.hasRoom() && !this.makeRoom(subscriber, previous, batch.count)) continue;
        this.announceLoss(subscriber, previous);
        if (staged === undefined) outbox.write(batch);
        else if (outbox.stage(batch)) staged.push(outbox);
      }
      reached?.push(subscriber);
      written++;
    }
    counts.delivered += written * batch.count;
    counts.flushes++;
    if (written > 0) this.report(segments, written);
    if (batch.traced.length > 0) this.trace(batch, written, counts.dropped - droppedBefore);
    if (confirmed !== undefined)
      for (const [item, ackId] of confirmed) acks.expectAcks(item, ackId, reached!);
    this.window.flushed(startedAt, clock.now(), batch.count);
  }

  /** The writes that the last flush has staged have taken this long. */
  wrote(ms: number): void {
    this.window.wrote(ms);
  }

  private report(segments: readonly Segment[], written: number): void {
    const { onDelivered, clock, log } = this.dependencies;
    const deliveredAt = clock.wallTime();
    onDelivered(deliveredAt - timestampOf(segments[0]!.entries[0]!.entry));
    if (!log.enabled('debug')) return;
    for (const { entries } of segments) {
      for (const { entry, sequence } of entries) {
        log.debug('Message delivered', {
          message_id: messageIdOf(entry),
          topic: this.name,
          sequence,
          target_count: written,
          duration_ms: deliveredAt - timestampOf(entry),
        });
      }
    }
  }

  private trace(batch: DeliveryBatch, written: number, dropped: number): void {
    const { tracer } = this.dependencies;
    const behind = this.readers.size;
    for (const item of batch.traced) {
      const id = messageIdOf(item.entry);
      // Subscribers that are catching up read the message from the log later.
      if (written > 0) tracer.delivered(id, { ...this.traceFields(item), connections: written, behind });
      if (dropped > 0) tracer.lost(id, { ...this.traceFields(item), reason: 'outbox_overflow' });
    }
  }

  private traceFields({ sequence }: LogEntry): { topic: string; sequence: number } {
    return { topic: this.name, sequence };
  }

  /** Messages whose publisher waits for confirmation, each with an acknowledgement id. Usually none. */
  private awaited(segments: readonly Segment[]): Map<LogEntry, number> | undefined {
    let awaited: Map<LogEntry, number> | undefined;
    for (const { entries } of segments) {
      for (const item of entries) {
        const header = viewHeader(item.entry);
        if (header?.origin !== undefined)
          (awaited ??= new Map()).set(item, this.dependencies.acks.nextAckId());
      }
    }
    return awaited;
  }

  /** Notes how far a subscriber was that is about to leave. */
  private remember(id: string): void {
    const { audience, record } = this.dependencies;
    const subscriber = record && audience.connection(id);
    if (subscriber === undefined) return;
    const { start, reached } = this.subscription(id);
    const pause = this.readers.get(id)?.pause;
    if (pause !== undefined) record!.resumed(pause, reached);
    record!.ended(subscriber, this.name, start, reached);
  }

  /** Applies the overflow strategy. True when the batch may be written after all. */
  private makeRoom(subscriber: Subscriber, previous: Position, messages: number): boolean {
    const { counts, record } = this.dependencies;
    switch (this.settings.overflow) {
      case 'catch_up': {
        counts.paused++;
        const reader = this.catchUpFrom(subscriber, previous);
        reader.pause ??= record?.paused(subscriber, this.name, previous);
        reader.resumeWhenDrained();
        return false;
      }
      case 'drop_newest':
        this.dropNewest(subscriber, previous, messages);
        return false;
      case 'drop_oldest': {
        const dropped = subscriber.outbox.dropOldest((batch) => this.onDropped(subscriber, batch));
        counts.dropped += dropped;
        if (dropped > 0) counts.gaps++;
        if (subscriber.outbox.hasRoom()) return true;
        // Everything that waits is already being written.
        this.dropNewest(subscriber, previous, messages);
        return false;
      }
      case 'disconnect':
        counts.disconnected++;
        // Another write would leave a hole. The session resumes at this position when the client reconnects.
        this.leaving.set(subscriber.id, previous);
        // Not during the loop over the room, because a disconnect changes the room.
        this.dependencies.clock.setImmediate(() =>
          subscriber.disconnect(new RefusalError('slow_consumer', 'the connection read too slowly')),
        );
        return false;
    }
  }

  /** Called for each batch, of any topic, that was removed from an outbox. */
  private onDropped(subscriber: Subscriber, batch: DeliveryBatch): void {
    const { topic, traced, firstSequence, lastSequence, lastEpoch: epoch } = batch;
    const { record, tracer } = this.dependencies;
    record?.lost(subscriber, topic, undefined, {
      from: { epoch, sequence: firstSequence - 1 },
      to: { epoch, sequence: lastSequence },
      reason: 'outbox_overflow',
    });
    for (const { entry, sequence } of traced)
      tracer.lost(messageIdOf(entry), { topic, sequence, reason: 'outbox_overflow' });
  }

  private dropNewest(subscriber: Subscriber, previous: Position, messages: number): void {
    this.dependencies.counts.dropped += messages;
    if (this.dropping.has(subscriber.id)) return;
    this.dropping.set(subscriber.id, previous);
    subscriber.outbox.onceDrained(() => this.announceLoss(subscriber, this.writtenTo));
  }

  private announceLoss(subscriber: Subscriber, upTo: Position): void {
    const from = this.dropping.get(subscriber.id);
    if (from === undefined) return;
    this.dropping.delete(subscriber.id);
    if (upTo.sequence > from.sequence) this.onLost(subscriber, from, upTo, 'outbox_overflow');
  }

  // Calls of subscribers that are catching up.

  onCaughtUp(reader: CatchUp): void {
    if (this.readers.get(reader.subscriber.id) !== reader) return;
    this.forgetReader(reader.subscriber.id);
    if (reader.pause !== undefined) this.dependencies.record?.resumed(reader.pause, reader.position);
  }

  onOtherLog(end: LogEnd): void {
    this.dependencies.onOtherLog(this.name, end);
  }

  onDelivered(reader: CatchUp, batch: DeliveryBatch): void {
    const { counts, tracer } = this.dependencies;
    counts.delivered += batch.count;
    for (const item of batch.traced) {
      const details = { ...this.traceFields(item), connections: 1, connection_id: reader.subscriber.id };
      tracer.caughtUp(messageIdOf(item.entry), details);
    }
  }

  onLost(subscriber: Subscriber, from: Position, to: Position, reason: GapReason | 'outbox_overflow'): void {
    const { counts, record } = this.dependencies;
    counts.gaps++;
    record?.lost(subscriber, this.name, this.starts.get(subscriber.id), { from, to, reason });
    if (this.starts.has(subscriber.id)) this.starts.set(subscriber.id, to);
    subscriber.emit('gap', {
      topic: this.name,
      epoch: to.epoch,
      sequence: to.sequence,
      previous: { epoch: from.epoch, sequence: from.sequence },
      reason,
    });
  }
}
