import type { Clock, Timer } from '../primitives/clock.js';
import type { DeliveryBatch } from './delivery-batch.js';
import type { Wire } from '../protocol/connection.js';
import type { EngineConnection, WaitingPacket } from './engine-connection.js';
import { dropNotice, textFrames } from './frames.js';

export interface OutboxSettings {
  /** Messages and bytes that may wait for one connection. */
  readonly limitMessages: number;
  readonly limitBytes: number;
  /** Bytes that may wait on the whole replica. */
  readonly totalBytes: number;
}

/** `readyState` of a WebSocket that is open. */
const webSocketOpen = 1;

/** How often outboxes with something waiting are looked at, in milliseconds. */
const sweepMs = 50;

/** All outboxes of a replica: the common limit, and one timer that notices when transports have drained. */
export class SendBufferBudget {
  /** Bytes waiting behind slow readers. */
  waitingBytes = 0;
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
  /** Part of `bytes` that is in the account. */
  private accounted = 0;
  private drainListeners: (() => void)[] | undefined;
  private staged: DeliveryBatch[] | undefined;
  private closed = false;

  constructor(
    private readonly connection: EngineConnection,
    private readonly wire: Wire,
    private readonly budget: SendBufferBudget,
  ) {}

  /** True when the transport has taken everything that was written. */
  get drained(): boolean {
    const { transport, writeBuffer } = this.connection;
    if (!transport.writable || writeBuffer.length > 0) return false;
    const tcp = transport.socket?._socket;
    return tcp === undefined || tcp === null || tcp.writableLength === 0;
  }

  /** Bytes written that the transport has not taken. */
  get waitingBytes(): number {
    return this.drained ? 0 : this.bytes;
  }

  get waitingMessages(): number {
    return this.drained ? 0 : this.messages;
  }

  /** Whether another batch may be written. A transport that has drained always has room for one batch, however large. */
  hasRoom(): boolean {
    // What is staged counts already, although the transport does not hold it yet.
    if (this.drained && this.staged === undefined) {
      this.reset();
      return true;
    }
    return !this.isFull();
  }

  /** Whether so much waits, answers to commands among it, that the connection should not ask for more. */
  get isOverfull(): boolean {
    if (this.drained) return false;
    const { transport, writeBuffer } = this.connection;
    const { limitMessages, limitBytes } = this.budget.settings;
    if (writeBuffer.length > 2 * limitMessages) return true;
    let bytes = transport.socket?._socket?.writableLength ?? 0;
    for (const packet of writeBuffer) bytes += sizeOf(packet);
    return bytes > 2 * limitBytes;
  }

  /** Hands a batch to the transport. `whenTaken` is called once everything up to it has left this process. */
  write(batch: DeliveryBatch, whenTaken?: () => void): void {
    this.count(batch);
    if (this.wire === 'json') this.writeFrames(batch.jsonFrames(), batch.alone, whenTaken);
    else if (this.connection.transport.name === 'websocket')
      this.writeFrames(batch.socketIoFrames(), batch.alone, whenTaken);
    else this.writePackets(batch.socketIoPackets(), whenTaken);
  }

  /** Writes Socket.IO packets that are no messages, in one go. */
  writeTexts(packets: readonly string[]): void {
    if (this.connection.transport.name === 'websocket') {
      const frames = textFrames(packets.map((packet) => `4${packet}`));
      if (this.writeNow(frames)) return;
      this.connection.write('', { compress: false, wsPreEncodedFrame: [frames] });
    } else for (const packet of packets) this.connection.write(packet, { compress: false });
  }

  /** As {@link write}, but shares one write with the other batches staged in this turn; ended by {@link writeStaged}. True for the first. */
  stage(batch: DeliveryBatch): boolean {
    const framed = this.wire === 'json' || this.connection.transport.name === 'websocket';
    if (!framed) {
      this.write(batch);
      return false;
    }
    this.count(batch);
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
    const frames = staged.map((batch) =>
      this.wire === 'json' ? batch.jsonFrames() : batch.socketIoFrames(),
    );
    this.writeFrames(frames.length === 1 ? frames[0]! : Buffer.concat(frames), staged);
  }

  /**
   * Makes room by taking the longest waiting messages out of the transport's queue; one `gap` event for each topic stands in their place. Returns
   * the number of messages dropped. On long-polling nothing is taken: the poll that is under way empties the queue at once.
   */
  dropOldest(onDropped: (batch: DeliveryBatch) => void): number {
    let dropped = 0;
    const queue = this.connection.writeBuffer;
    const kept: WaitingPacket[] = [];
    /** Where in `kept` the notice of a topic is, as far as only notices come after it. */
    const notices = new Map<string, number>();
    let taken = 0;
    for (; taken < queue.length && this.isFull(); taken++) {
      const packet = queue[taken]!;
      const { batches, dropped: before } = packet.options ?? {};
      if (batches === undefined) {
        if (before === undefined) notices.clear();
        else notices.set(before.topic, kept.length);
        kept.push(packet);
        continue;
      }
      for (const batch of batches) {
        onDropped(batch);
        dropped += batch.count;
        this.messages -= batch.count;
        this.bytes -= batch.bytes;
        const at = notices.get(batch.topic) ?? kept.length;
        notices.set(batch.topic, at);
        kept[at] = noticeOf(batch, kept[at]?.options?.dropped?.count ?? 0);
      }
    }
    queue.splice(0, taken, ...kept);
    this.budget.waitingBytes += this.bytes - this.accounted;
    this.accounted = this.bytes;
    return dropped;
  }

  private isFull(): boolean {
    const { settings } = this.budget;
    return (
      this.messages >= settings.limitMessages ||
      this.bytes >= settings.limitBytes ||
      this.budget.waitingBytes >= settings.totalBytes
    );
  }

  /** Calls back once the transport has drained; never, if the connection has closed. */
  onceDrained(listener: () => void): void {
    // A closed transport never drains: watching it would keep it for ever.
    if (this.closed) return;
    (this.drainListeners ??= []).push(listener);
    this.budget.watch(this);
  }

  /** Looks whether the transport has drained and, if so, lets go what waited for that. */
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

  private count(batch: DeliveryBatch): void {
    if (this.closed) return;
    if (this.drained) {
      // The usual case: the transport is idle and takes this at once. Only a write behind another one makes a queue.
      if (this.staged === undefined) this.reset();
      this.messages += batch.count;
      this.bytes += batch.bytes;
      return;
    }
    this.messages += batch.count;
    this.bytes += batch.bytes;
    this.budget.waitingBytes += this.bytes - this.accounted;
    this.accounted = this.bytes;
    this.budget.watch(this);
  }

  private reset(): void {
    this.messages = 0;
    this.bytes = 0;
    if (this.accounted > 0) {
      this.budget.waitingBytes -= this.accounted;
      this.accounted = 0;
    }
    if (this.drainListeners === undefined || this.closed) this.budget.forget(this);
  }

  private writeFrames(frames: Buffer, batches: readonly DeliveryBatch[], whenTaken?: () => void): void {
    if (whenTaken === undefined && this.writeNow(frames)) return;
    this.connection.write('', { compress: false, wsPreEncodedFrame: [frames], batches }, whenTaken);
  }

  /**
   * Writes to the TCP socket itself while nothing waits on the way to it: engine.io's and ws' bookkeeping costs as much as the system call. What
   * the socket does not take at once counts as waiting, so that the next write goes the usual way and queues behind it.
   */
  private writeNow(frames: Buffer): boolean {
    const { readyState, transport, writeBuffer } = this.connection;
    const { socket } = transport;
    const tcp = socket?._socket;
    if (tcp === undefined || tcp === null || readyState !== 'open' || !transport.writable) return false;
    if (socket!.readyState !== webSocketOpen || writeBuffer.length > 0 || tcp.writableLength > 0)
      return false;
    tcp.write(frames);
    return true;
  }

  private writePackets(packets: readonly (string | Buffer)[], whenTaken?: () => void): void {
    const last = packets.length - 1;
    packets.forEach((packet, i) => {
      this.connection.write(packet, { compress: false }, i === last ? whenTaken : undefined);
    });
  }
}

/** Stands in for a batch that was dropped, and for as many messages of its topic before it. */
function noticeOf(batch: DeliveryBatch, before: number): WaitingPacket {
  const { topic, lastEpoch, lastSequence } = batch;
  const count = before + batch.count;
  return {
    type: 'message',
    options: { compress: false, dropped: { topic, count } },
    data: dropNotice(topic, lastEpoch, lastSequence, count),
  };
}

function sizeOf({ data, options }: WaitingPacket): number {
  let bytes = typeof data === 'string' || Buffer.isBuffer(data) ? data.length : 0;
  for (const frame of options?.wsPreEncodedFrame ?? []) bytes += frame.length;
  return bytes;
}
