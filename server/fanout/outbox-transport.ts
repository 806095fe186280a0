import type { DeliveryBatch } from './delivery-batch.js';

/** The transport of one connection, as its outbox uses it. */
export interface OutboxTransport {
  /**
   * Whether it accepts pre-encoded WebSocket frames. Long-polling, and a transport during its upgrade, accept
   * only packets.
   */
  readonly takesFrames: boolean;
  /** Whether everything written was passed to the operating system. */
  readonly isDrained: boolean;
  /** Whether a program listens to the outgoing events; see {@link observe}. */
  readonly isObserved: boolean;
  /** Number of writes that wait in this process. */
  readonly waitingWrites: number;
  /** Bytes that wait in this process, including those passed to the TCP socket. */
  waitingBytes(): number;
  /**
   * Writes frames. `whenTaken` is called when they have been passed to the operating system.
   *
   * @returns whether they were written to the TCP socket directly, without the queues of the libraries
   */
  writeFrames(frames: Buffer, batches?: readonly DeliveryBatch[], whenTaken?: () => void): boolean;
  /** Writes Engine.IO message packets: text, or binary parts. */
  writePackets(packets: readonly (string | Buffer)[], whenTaken?: () => void): void;
  /**
   * Removes waiting batches from the queue, oldest first, while `goOn` returns true. One notice replaces all
   * batches of a topic that were removed in a row; `notice` makes its packet from the last of them and the
   * number of their messages.
   */
  dropWaiting(
    goOn: () => boolean,
    onDropped: (batch: DeliveryBatch) => void,
    notice: (last: DeliveryBatch, messages: number) => string,
  ): void;
  /** Passes an event to the listeners to outgoing events. */
  observe(event: string, data: unknown): void;
}
