import type { Clock, Timer } from '../primitives/clock.js';
import type { DeliveryBatch } from './delivery-batch.js';
import type { Wire } from '../protocol/connection.js';
import { dropNotice, textFrames } from './frames.js';
import type { OutboxTransport } from './outbox-transport.js';

export interface OutboxSettings {
  /** Limits of what may wait for one connection: messages, and bytes. */
  readonly limitMessages: number;
  readonly limitBytes: number;
  /** Most bytes that may wait for all connections of the replica. */
  readonly totalBytes: number;
}

/** Interval of the check of outboxes with waiting data, in milliseconds. */
const sweepMs = 50;

/** The common limit of all outboxes of a replica, with one timer that detects drained transports. */
export class SendBufferBudget {
  /** Bytes that wait for slow readers. */
  waitingBytes = 0;
  /** Number of writes that went to TCP sockets directly. */
  directWrites = 0;
  private readonly slow = new Set<Outbox>();
  private timer: Timer | undefined;

  constructor(
    private readonly dependencies: { readonly clock: Clock },
    readonly settings: OutboxSettings,
  ) {}

  get slowCount(): number {
    return this.slow.size;
  }

  watch(outbox: Outbox): void {
    this.slow.add(outbox);
    this.timer ??= this.dependencies.clock.setInterval(() => this.sweep(), sweepMs);
  }

  forget(outbox: Outbox): void {
    this.slow.delete(outbox);
    if (this.slow.size > 0) return;
    this.dependencies.clock.clearTimer(this.timer);
    this.timer = undefined;
  }

  close(): void {
    this.slow.clear();
    this.dependencies.clock.clearTimer(this.timer);
    this.timer = undefined;
  }

  private sweep(): void {
    for (const outbox of this.slow) outbox.settle();
  }
}

/**
 * The data that waits for one connection. Nothing is copied: the outbox counts what the transport has not
 * sent yet and reports when there is no room. Then the topic stops writing, and the connection catches up
 * from the log later.
 */
export class Outbox {
  private messages = 0;
  private bytes = 0;
  /** The part of `bytes` that is included in the budget of the replica. */
  private budgeted = 0;
  private drainListeners: Set<() => void> | undefined;
  /** As `drainListeners`, but they are also called when the connection closes. */
  private takenListeners: (() => void)[] | undefined;
  /** Most connections have one batch only, and need no list. */
  private staged: DeliveryBatch | DeliveryBatch[] | undefined;
  private closed = false;

  constructor(
    private readonly transport: OutboxTransport,
    private readonly wire: Wire,
    private readonly budget: SendBufferBudget,
  ) {}

  /** True if the transport has sent everything that was written. */
  get drained(): boolean {
    return this.transport.isDrained;
  }

  get isClosed(): boolean {
    return this.closed;
  }

  /**
   * Bytes that wait in the transport, answers to commands included; undefined: not known, on long-polling.
   */
  get bytesInTransport(): number | undefined {
    return this.transport.takesFrames ? this.transport.waitingBytes() : undefined;
  }

  /** Bytes written that the transport has not sent. */
  get waitingBytes(): number {
    return this.drained ? 0 : this.bytes;
  }

  /** Whether another batch may be written. A drained transport always has room for one batch of any size. */
  hasRoom(): boolean {
    return this.isIdle() || !this.isFull();
  }

  /**
   * Whether so much data waits, including answers to commands, that no further command of the connection
   * should run: for this connection, or for all of the replica.
   */
  get isOverfull(): boolean {
    const { transport, budget } = this;
    if (transport.isDrained) return false;
    const { limitMessages, limitBytes, totalBytes } = budget.settings;
    return (
      transport.waitingWrites > 2 * limitMessages ||
      budget.waitingBytes >= totalBytes ||
      transport.waitingBytes() > 2 * limitBytes
    );
  }

  /**
   * Writes a batch if there is room. False if there is none and nothing was written. With `staged`, as {@link stage},
   * and the outbox is added to the list if it is the first of them.
   */
  offer(batch: DeliveryBatch, staged?: Outbox[]): boolean {
    const isIdle = this.isIdle();
    if (!isIdle && this.isFull()) return false;
    if (staged !== undefined && this.takesFrames) {
      if (this.addStaged(batch, isIdle)) staged.push(this);
      return true;
    }
    this.add(batch, isIdle);
    this.handOver(batch, undefined);
    return true;
  }

  /**
   * Passes a batch to the transport. `whenTaken` is called when everything up to it has left this process.
   */
  write(batch: DeliveryBatch, whenTaken?: () => void): void {
    this.add(batch, this.isIdle());
    this.handOver(batch, whenTaken);
  }

  /** Writes Socket.IO packets that are not messages, in one write. */
  writeTexts(packets: readonly string[]): void {
    if (this.transport.takesFrames) this.writeFrames(textFrames(packets.map((packet) => `4${packet}`)));
    else this.transport.writePackets(packets);
  }

  /**
   * As {@link write}, but combined into one write with the other batches staged in this turn, by
   * {@link writeStaged}. True for the first of them.
   */
  stage(batch: DeliveryBatch): boolean {
    if (!this.takesFrames) {
      this.write(batch);
      return false;
    }
    return this.addStaged(batch, this.isIdle());
  }

  writeStaged(): void {
    const { staged } = this;
    if (staged === undefined) return;
    this.staged = undefined;
    if (Array.isArray(staged))
      this.writeFrames(Buffer.concat(staged.map((batch) => this.framesOf(batch))), staged);
    else this.writeFrames(this.framesOf(staged), staged.alone);
  }

  /**
   * Makes room by removing the longest waiting messages from the transport's queue; one `gap` event for each
   * topic replaces them. Returns the number of dropped messages. On long-polling nothing is removed: the
   * pending poll takes the whole queue at once.
   */
  dropOldest(onDropped: (batch: DeliveryBatch) => void): number {
    let dropped = 0;
    this.transport.dropWaiting(
      () => this.isFull(),
      (batch) => {
        onDropped(batch);
        dropped += batch.count;
        this.messages -= batch.count;
        this.bytes -= batch.bytes;
      },
      (batch, count) => dropNotice(batch.topic, batch.lastEpoch, batch.lastSequence, count),
    );
    this.updateBudget();
    return dropped;
  }

  /** Calls back when the transport has drained; never if the connection has closed. */
  onceDrained(listener: () => void): void {
    // A closed transport never drains: a watch on it would keep it in memory for ever.
    if (this.closed) return;
    (this.drainListeners ??= new Set()).add(listener);
    this.budget.watch(this);
  }

  /** This listener of {@link onceDrained} need not be called any more. */
  cancelDrained(listener: () => void): void {
    this.drainListeners?.delete(listener);
  }

  /** Calls back when the transport has drained, or the connection has closed. */
  onceTaken(listener: () => void): void {
    if (this.closed) {
      listener();
      return;
    }
    (this.takenListeners ??= []).push(listener);
    this.budget.watch(this);
  }

  /** Checks whether the transport has drained and, if so, calls the waiting listeners. */
  settle(): void {
    if (!this.drained) return;
    this.callTaken();
    this.reset();
    const listeners = this.drainListeners;
    this.drainListeners = undefined;
    if (listeners !== undefined) for (const listener of listeners) listener();
  }

  close(): void {
    this.closed = true;
    this.callTaken();
    this.reset();
    this.drainListeners = undefined;
  }

  private callTaken(): void {
    const listeners = this.takenListeners;
    this.takenListeners = undefined;
    if (listeners !== undefined) for (const listener of listeners) listener();
  }

  /**
   * Whether nothing waits and nothing is staged. A staged batch counts already, although the transport does
   * not hold it yet.
   */
  private isIdle(): boolean {
    return this.staged === undefined && this.transport.isDrained;
  }

  private isFull(): boolean {
    const { settings } = this.budget;
    return (
      this.messages >= settings.limitMessages ||
      this.bytes >= settings.limitBytes ||
      this.budget.waitingBytes >= settings.totalBytes
    );
  }

  private addStaged(batch: DeliveryBatch, isIdle: boolean): boolean {
    this.add(batch, isIdle);
    const { staged } = this;
    if (staged === undefined) this.staged = batch;
    else if (Array.isArray(staged)) staged.push(batch);
    else this.staged = [staged, batch];
    return staged === undefined;
  }

  private get takesFrames(): boolean {
    return this.wire === 'json' || this.transport.takesFrames;
  }

  private framesOf(batch: DeliveryBatch): Buffer {
    return this.wire === 'json' ? batch.jsonFrames() : batch.socketIoFrames();
  }

  private handOver(batch: DeliveryBatch, whenTaken: (() => void) | undefined): void {
    if (this.takesFrames) this.writeFrames(this.framesOf(batch), batch.alone, whenTaken);
    else this.transport.writePackets(batch.socketIoPackets(), whenTaken);
  }

  private writeFrames(frames: Buffer, batches?: readonly DeliveryBatch[], whenTaken?: () => void): void {
    if (this.transport.writeFrames(frames, batches, whenTaken)) this.budget.directWrites++;
  }

  /** Counts a batch that is about to be written. */
  private add(batch: DeliveryBatch, isIdle: boolean): void {
    if (this.closed) return;
    if (this.transport.isObserved)
      for (const message of batch.messages()) this.transport.observe(batch.event, message);
    // The usual case: the transport is idle and sends this at once. Only a write after another one has to
    // wait.
    if (isIdle) this.reset();
    this.messages += batch.count;
    this.bytes += batch.bytes;
    if (isIdle || this.drained) return;
    this.updateBudget();
    this.budget.watch(this);
  }

  private updateBudget(): void {
    this.budget.waitingBytes += this.bytes - this.budgeted;
    this.budgeted = this.bytes;
  }

  private reset(): void {
    this.messages = 0;
    this.bytes = 0;
    if (this.budgeted > 0) {
      this.budget.waitingBytes -= this.budgeted;
      this.budgeted = 0;
    }
    const waits = (this.drainListeners?.size ?? 0) > 0 || this.takenListeners !== undefined;
    if (!waits || this.closed) this.budget.forget(this);
  }
}
