import type { Position } from '../../shared/position.js';
import type { Clock, Timer } from '../primitives/clock.js';
import type { DeliveryBatch } from './delivery-batch.js';
import type { Subscriber } from './subscriber.js';
import type { Log } from '../logging/log.js';
import type { LogBlocks } from './log-blocks.js';

/** What a reader that is behind needs to know of its topic. */
export interface CatchUpTopic {
  readonly name: string;
  /** Position up to which live subscribers have been written to. */
  readonly written: Position;
  /** The reader has reached `written` and is live from now on. */
  onCaughtUp(reader: CatchUp): void;
  onLost(subscriber: Subscriber, from: Position, to: Position): void;
  onDelivered(reader: CatchUp, batch: DeliveryBatch): void;
}

export interface CatchUpDependencies {
  readonly blocks: LogBlocks;
  readonly log: Log;
  readonly clock: Clock;
}

/** Wait before the log is asked again after it could not be read, in milliseconds. */
const retryMs = 500;

/**
 * A subscriber that is behind its topic: newly recovered, or paused because it read too slowly. It reads on from the log at its own
 * pace, one block at a time, and joins the live ones at the position up to which they have been written to.
 */
export class CatchUp {
  private stopped = false;
  private running = false;
  private retry: Timer | undefined;

  constructor(
    private readonly dependencies: CatchUpDependencies,
    private readonly topic: CatchUpTopic,
    readonly subscriber: Subscriber,
    private cursor: Position,
  ) {}

  /** Messages up to here were handed to the connection's transport. */
  get position(): Position {
    return this.cursor;
  }

  /** Reads on as soon as the transport has taken what it holds. */
  resumeWhenDrained(): void {
    if (this.stopped) return;
    if (this.subscriber.outbox.drained) this.proceed();
    else this.subscriber.outbox.onceDrained(() => this.proceed());
  }

  /** The log lost messages: go on from there. */
  moveTo(position: Position): void {
    this.topic.onLost(this.subscriber, this.cursor, position);
    this.cursor = position;
  }

  /** The log has changed, though not before this position: what is being read now is of no use. */
  readAgain(): void {
    this.cursor = { ...this.cursor };
  }

  stop(): void {
    this.stopped = true;
    this.dependencies.clock.clearTimer(this.retry);
  }

  private readonly proceed = (): void => {
    if (this.running || this.stopped) return;
    this.running = true;
    this.step()
      .catch((error: unknown) => {
        const { log, clock } = this.dependencies;
        log.debug('Catch-up waits for the log', { topic: this.topic.name, error });
        if (!this.stopped) this.retry = clock.setTimeout(this.proceed, retryMs);
      })
      .finally(() => {
        this.running = false;
      });
  };

  /** Sends one block, or as many gaps as there are before one. */
  private async step(): Promise<void> {
    let empty = 0;
    while (!this.stopped) {
      const before = this.cursor;
      if (before.sequence >= this.topic.written.sequence) {
        this.stop();
        this.topic.onCaughtUp(this);
        return;
      }
      const { lostUpTo, batch } = await this.dependencies.blocks.next(
        this.topic.name,
        before.sequence,
        this.topic.written.sequence,
      );
      if (this.stopped) return;
      if (this.cursor !== before) continue;
      if (lostUpTo !== undefined) this.moveTo(lostUpTo);
      if (batch === undefined) {
        // A reading shared with another reader can be too old once; a log that stays behind its feed is being repaired.
        if (lostUpTo === undefined && ++empty > 2)
          throw new Error('the log ends before the position of its feed');
        continue;
      }
      this.cursor = { epoch: batch.lastEpoch, sequence: batch.lastSequence };
      this.topic.onDelivered(this, batch);
      // The next block follows once this one has left the process.
      this.subscriber.outbox.write(batch, this.whenTaken);
      return;
    }
  }

  private readonly whenTaken = (): void => {
    this.dependencies.clock.setImmediate(() => this.resumeWhenDrained());
  };
}
