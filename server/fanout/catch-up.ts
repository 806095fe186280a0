import type { Position } from '../../shared/position.js';
import type { Pause } from '../tracing/delivery-record.js';
import type { Clock, Timer } from '../primitives/clock.js';
import type { DeliveryBatch } from './delivery-batch.js';
import type { Subscriber } from './subscriber.js';
import type { LogEnd } from '../log/broker.js';
import type { GapReason } from '../log/feed.js';
import type { Log } from '../logging/log.js';
import type { LogBlocks } from './log-blocks.js';

/** The topic, as a subscriber that is catching up uses it. */
export interface CatchUpTopic {
  readonly name: string;
  /** Position up to which messages were written to live subscribers. */
  readonly written: Position;
  /** Called when the reader has reached `written`; it is live from now on. */
  onCaughtUp(reader: CatchUp): void;
  onLost(subscriber: Subscriber, from: Position, to: Position, reason: GapReason): void;
  /** Called when the log, which ends here, does not continue the one up to `written`: the feed has not noticed yet. */
  onOtherLog(end: LogEnd): void;
  onDelivered(reader: CatchUp, batch: DeliveryBatch): void;
}

interface CatchUpDependencies {
  readonly blocks: LogBlocks;
  readonly log: Log;
  readonly clock: Clock;
}

/** Delay before the next attempt after the log could not be read, in milliseconds. */
const retryMs = 500;

/**
 * A subscriber that is catching up with its topic: it was restored, or it read too slowly. It reads from the
 * log at its own speed, one block at a time. It becomes live when it reaches the position up to which
 * messages were written to the live subscribers.
 */
export class CatchUp {
  private stopped = false;
  private running = false;
  private retry: Timer | undefined;
  /** Set if the subscriber was paused: it read too slowly. */
  pause: Pause | undefined;

  constructor(
    private readonly dependencies: CatchUpDependencies,
    private readonly topic: CatchUpTopic,
    readonly subscriber: Subscriber,
    private cursor: Position,
  ) {}

  /** Position up to which messages were passed to the connection's transport. */
  get position(): Position {
    return this.cursor;
  }

  /** Continues to read when the transport has drained. */
  resumeWhenDrained(): void {
    if (this.stopped) return;
    if (this.subscriber.outbox.drained) this.proceed();
    else this.subscriber.outbox.onceDrained(this.proceed);
  }

  /** Continues from this position, after the log has lost messages. */
  moveTo(position: Position, reason: GapReason): void {
    this.topic.onLost(this.subscriber, this.cursor, position, reason);
    this.cursor = position;
  }

  /** The subscriber has everything up to a position from elsewhere: it need not be read. */
  skipTo(position: Position): void {
    if (position.sequence > this.cursor.sequence) this.cursor = position;
  }

  /** The log has changed, but only after this position: the result of a running read is discarded. */
  readAgain(): void {
    this.cursor = { ...this.cursor };
  }

  stop(): void {
    this.stopped = true;
    const { clock, blocks } = this.dependencies;
    clock.clearTimer(this.retry);
    blocks.turns.cancel(this.subscriber.outbox, this.step);
    this.subscriber.outbox.cancelDrained(this.proceed);
  }

  private readonly proceed = (): void => {
    if (this.running || this.stopped) return;
    this.running = true;
    const { blocks } = this.dependencies;
    blocks.turns
      .run(this.subscriber.outbox, this.step)
      .catch((error: unknown) => {
        const { log, clock } = this.dependencies;
        log.debug('Catch-up waits for the log', { topic: this.topic.name, error });
        if (!this.stopped) this.retry = clock.setTimeout(this.proceed, retryMs);
      })
      .finally(() => {
        this.running = false;
      });
  };

  /** Sends one block, or all gaps before the next block. */
  private readonly step = async (): Promise<void> => {
    let empty = 0;
    while (!this.stopped) {
      const before = this.cursor;
      if (before.sequence >= this.topic.written.sequence) {
        this.stop();
        this.topic.onCaughtUp(this);
        return;
      }
      const { lostUpTo, batch, otherLog } = await this.dependencies.blocks.next(
        this.topic.name,
        before.sequence,
        this.topic.written,
      );
      if (this.stopped) return;
      if (this.cursor !== before) continue;
      if (otherLog !== undefined) {
        // Its messages follow the notice of the loss, which comes from the feed.
        this.topic.onOtherLog(otherLog);
        throw new Error('the log is another one than that of its feed');
      }
      if (lostUpTo !== undefined) this.moveTo(lostUpTo, 'history_trimmed');
      if (batch === undefined) {
        // A shared read can be out of date once. If the log stays shorter than its feed, it is being
        // repaired.
        if (lostUpTo === undefined && ++empty > 2)
          throw new Error('the log ends before the position of its feed');
        continue;
      }
      this.cursor = { epoch: batch.lastEpoch, sequence: batch.lastSequence };
      this.topic.onDelivered(this, batch);
      // The next block follows when this one has left the process.
      this.subscriber.outbox.write(batch, this.whenTaken);
      return;
    }
  };

  private readonly whenTaken = (): void => {
    this.dependencies.clock.setImmediate(() => this.resumeWhenDrained());
  };
}
