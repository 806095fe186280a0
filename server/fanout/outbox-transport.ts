import type { DeliveryBatch } from './delivery-batch.js';

/** The transport of one connection, as its outbox writes to it. */
export interface OutboxTransport {
  /** Whether it takes ready-made WebSocket frames. Long-polling, and a transport that is being upgraded, take packets. */
  readonly takesFrames: boolean;
  /** Whether everything that was written has been handed to the operating system. */
  readonly isDrained: boolean;
  /** Whether somebody listens to the events that go out; see {@link observe}. */
  readonly isObserved: boolean;
  /** Writes that wait in this process. */
  readonly waitingWrites: number;
  /** Bytes that wait in this process, those handed to the TCP socket included. */
  waitingBytes(): number;
  /**
   * Writes frames. `whenTaken` is called once they have been handed to the operating system.
   *
   * @returns whether they went to the TCP socket directly, past the queues of the libraries
   */
  writeFrames(frames: Buffer, batches?: readonly DeliveryBatch[], whenTaken?: () => void): boolean;
  /** Writes Engine.IO message packets: text, or binary parts. */
  writePackets(packets: readonly (string | Buffer)[], whenTaken?: () => void): void;
  /**
   * Takes batches that wait out of the queue, oldest first, as long as `goOn`. A notice stands in for all batches of a topic that were taken in
   * a row; `notice` makes its packet from the last of them and from the number of their messages.
   */
  dropWaiting(
    goOn: () => boolean,
    onDropped: (batch: DeliveryBatch) => void,
    notice: (last: DeliveryBatch, messages: number) => string,
  ): void;
  /** Gives an event to those who listen to what goes out. */
  observe(event: string, data: unknown): void;
}
