import type { Position } from '../../shared/position.js';
import type { LogEntry } from '../log/broker.js';
import type { History, HistoryRequest } from '../log/history.js';
import { epochAt, isPositionIn, sharedSequence, type Lineage } from '../log/lineage.js';
import type { Log } from '../logging/log.js';
import type { Clock } from '../primitives/clock.js';

/** Receives the messages of a topic, one after the other. */
export interface TopicListener {
  /** The next message is handed over when this has returned, or its promise is settled. */
  message(entry: LogEntry, epoch: string): void | Promise<void>;
  /** Messages after `from`, up to `to`, are lost to this listener. It continues after `to`. */
  gap(from: Position, to: Position): void | Promise<void>;
}

interface ListenerSubscriptionDependencies {
  readonly read: (request: HistoryRequest) => Promise<History>;
  readonly log: Log;
  readonly clock: Clock;
}

/** What is read at a time. */
const pageLimits = { limit: 200, bytes: 1_048_576, binaryParts: Infinity, asText: false } as const;
/** A log that cannot be read is tried again after this, in milliseconds. */
const retryMs = 1000;

/**
 * A subscription of code in this process. It reads the log at the pace of its listener, so a slow one takes no memory, and what is no longer
 * stored when it gets there is told as a gap.
 */
export class ListenerSubscription {
  private hasMoved = true;
  private wake: (() => void) | undefined;
  private closed = false;

  constructor(
    private readonly dependencies: ListenerSubscriptionDependencies,
    private readonly topic: string,
    private at: Lineage,
    private readonly listener: TopicListener,
  ) {}

  /** Everything up to this position was handed over, or told as a gap. */
  get position(): Position {
    const { epoch, sequence } = this.at;
    return { epoch, sequence };
  }

  start(): void {
    void this.run();
  }

  /** The log has new messages, or has changed. */
  readonly moved = (): void => {
    this.hasMoved = true;
    this.wake?.();
  };

  /** Nothing is handed over from now on. */
  close(): void {
    this.closed = true;
    this.wake?.();
  }

  private async run(): Promise<void> {
    const { clock, log } = this.dependencies;
    while (!this.closed) {
      if (!this.hasMoved) {
        await new Promise<void>((resolve) => (this.wake = resolve));
        this.wake = undefined;
        continue;
      }
      this.hasMoved = false;
      try {
        await this.readOn();
      } catch (error) {
        log.debug('Log not read yet', { topic: this.topic, error });
        this.hasMoved = true;
        await clock.sleep(retryMs);
      }
    }
  }

  /** Hands over what the log has after the position. */
  private async readOn(): Promise<void> {
    while (!this.closed) {
      const page = await this.dependencies.read({ ...pageLimits, since: this.at });
      if (!isPositionIn(page, this.at)) {
        // Another log, or an older state of this one. What both hold has been handed over.
        const sequence = sharedSequence(this.at, page) ?? 0;
        await this.skip({ epoch: epochAt(page, sequence), sequence }, page);
        continue;
      }
      for (const item of page.entries) await this.take(item, page);
      if (page.next !== undefined) continue;
      if (page.sequence > this.at.sequence) await this.skip(page, page);
      if (!this.closed) this.at = { epoch: page.epoch, sequence: page.sequence, previous: page.previous };
      return;
    }
  }

  private async take(item: LogEntry, log: Lineage): Promise<void> {
    const before = item.sequence - 1;
    if (before > this.at.sequence) await this.skip({ epoch: epochAt(log, before), sequence: before }, log);
    if (this.closed) return;
    const epoch = epochAt(log, item.sequence);
    await this.hand(() => this.listener.message(item, epoch));
    this.at = { epoch, sequence: item.sequence, previous: log.previous };
  }

  private async skip({ epoch, sequence }: Position, { previous }: Lineage): Promise<void> {
    if (this.closed) return;
    const { at } = this;
    const from = { epoch: at.epoch, sequence: at.sequence };
    await this.hand(() => this.listener.gap(from, { epoch, sequence }));
    this.at = { epoch, sequence, previous };
  }

  /** A listener that throws does not stop the subscription. */
  private async hand(call: () => void | Promise<void>): Promise<void> {
    try {
      await call();
    } catch (error) {
      this.dependencies.log.error('Listener failed', { topic: this.topic, ...this.position, error });
    }
  }
}
