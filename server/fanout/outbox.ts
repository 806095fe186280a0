import type { Clock, Timer } from '../primitives/clock.js';
import type { DeliveryBatch } from './delivery-batch.js';
import type { Wire } from '../protocol/connection.js';
import { dropNotice, textFrames } from './frames.js';
import type { OutboxTransport } from './outbox-transport.js';

export interface OutboxSettings {
  /** Messages and bytes that may wait for one connection. */
  readonly limitMessages: number;
  readonly limitBytes: number;
  /** Bytes that may wait on the whole replica. */
  readonly totalBytes: number;
}

/** How often outboxes with something waiting are looked at, in milliseconds. */
const sweepMs = 50;

/** All outboxes of a replica: the common limit, and one timer that notices when transports have drained. */
export class SendBufferBudget {
  /** Bytes waiting behind slow readers. */
  waitingBytes = 0;
  /** Writes that went to TCP sockets directly. */
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
 * What waits for one connection. Nothing is copied: the outbox counts what the transport has not taken yet and says when there is no
 * room, so that the topic stops writing and the connection is caught up from the log later.
 */
export class Outbox {
  private messages = 0;
  private bytes = 0;
  /** Part of `bytes` that the budget of the replica includes. */
  private budgeted = 0;
  private drainListeners: (() => void)[] | undefined;
  private staged: DeliveryBatch[] | undefined;
  private closed = false;

  constructor(
    private readonly transport: OutboxTransport,
    private readonly wire: Wire,
    private readonly budget: SendBufferBudget,
  ) {}

  /** True when the transport has taken everything that was written. */
  get drained(): boolean {
    return this.transport.isDrained;
  }

  /** Bytes written that the transport has not taken. */
  get waitingBytes(): number {
    return this.drained ? 0 : this.bytes;
  }

  /** Whether another batch may be written. A transport that has drained always has room for one batch, however large. */
  hasRoom(): boolean {
    return this.isIdle() || !this.isFull();
  }

  /** Whether so much waits, answers to commands among it, that the connection should not ask for more. */
  get isOverfull(): boolean {
    const { transport } = this;
    if (transport.isDrained) return false;
    const { limitMessages, limitBytes } = this.budget.settings;
    return transport.waitingWrites > 2 * limitMessages || transport.waitingBytes() > 2 * limitBytes;
  }

  /** Writes a batch if there is room. False: nothing was written. */
  offer(batch: DeliveryBatch): boolean {
    const isIdle = this.isIdle();
    if (!isIdle && this.isFull()) return false;
    this.add(batch, isIdle);
    this.handOver(batch, undefined);
    return true;
  }

  /** Hands a batch to the transport. `whenTaken` is called once everything up to it has left this process. */
  write(batch: DeliveryBatch, whenTaken?: () => void): void {
    this.add(batch, this.isIdle());
    this.handOver(batch, whenTaken);
  }

  /** Writes Socket.IO packets that are no messages, in one go. */
  writeTexts(packets: readonly string[]): void {
    if (this.transport.takesFrames) this.writeFrames(textFrames(packets.map((packet) => `4${packet}`)));
    else this.transport.writePackets(packets);
  }

  /** As {@link write}, but shares one write with the other batches staged in this turn; ended by {@link writeStaged}. True for the first. */
  stage(batch: DeliveryBatch): boolean {
    if (!this.takesFrames) {
      this.write(batch);
      return false;
    }
    this.add(batch, this.isIdle());
    if (this.staged !== undefined) {
      this.staged.push(batch);
      return false;
    }
    this.staged = [batch];
    return true;
  }

  writeStaged(): void {
    const { staged } = this;
    if (staged === undefined) return;
    this.staged = undefined;
    const frames = staged.map((batch) => this.framesOf(batch));
    this.writeFrames(frames.length === 1 ? frames[0]! : Buffer.concat(frames), staged);
  }

  /**
   * Makes room by taking the longest waiting messages out of the transport's queue; one `gap` event for each topic stands in their place. Returns
   * the number of messages dropped. On long-polling nothing is taken: the poll that is under way empties the queue at once.
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

  /** Calls back once the transport has drained; never, if the connection has closed. */
  onceDrained(listener: () => void): void {
    // A closed transport never drains: watching it would keep it for ever.
    if (this.closed) return;
    (this.drainListeners ??= []).push(listener);
    this.budget.watch(this);
  }

  /** Looks whether the transport has drained and, if so, calls back those who wait for that. */
  settle(): void {
    if (!this.drained) return;
    this.reset();
    const listeners = this.drainListeners;
    this.drainListeners = undefined;
    if (listeners !== undefined) for (const listener of listeners) listener();
  }

  close(): void {
    this.closed = true;
    this.reset();
    this.drainListeners = undefined;
  }

  /** Whether nothing waits, and nothing is staged: what is staged counts already, although the transport does not hold it yet. */
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
    // The usual case: the transport is idle and takes this at once. Only a write behind another one makes a queue.
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
    if (this.drainListeners === undefined || this.closed) this.budget.forget(this);
  }
}
