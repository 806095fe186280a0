import type { Outbox } from './outbox.js';
import type { ActiveTopic } from './active-topic.js';
import type { Clock, Timer } from '../primitives/clock.js';
import { MicroBatcher } from '../primitives/micro-batcher.js';

/**
 * Flushes of many topics run together: a connection that subscribes to several of them gets one write instead
 * of one for each.
 */
const flushBatching = { lingerFromPerSec: 1000, tickMs: 10 };

/** Topics due within this time of each other are flushed together, in milliseconds. */
const togetherMs = 1;

/**
 * Runs the flushes of all topics: those of quiet topics at the end of the turn, those of others by one timer.
 * Topics that are due together share one write per connection.
 */
export class Flusher {
  private readonly waiting = new Set<ActiveTopic>();
  private readonly batcher: MicroBatcher;
  /** Whether a batch of flushes is scheduled. */
  private scheduled = false;
  private timer: Timer | undefined;
  private timerDueAt = Infinity;

  constructor(private readonly dependencies: { readonly clock: Clock }) {
    this.batcher = new MicroBatcher(dependencies, flushBatching);
  }

  /** Plans a flush of a topic that has none planned. */
  readonly schedule = (topic: ActiveTopic, delayMs: number): void => {
    const now = this.dependencies.clock.now();
    topic.dueAt = now + delayMs;
    this.waiting.add(topic);
    if (delayMs <= togetherMs) this.startBatched();
    else this.arm(topic.dueAt, now);
  };

  forget(topic: ActiveTopic): void {
    topic.dueAt = undefined;
    this.waiting.delete(topic);
  }

  close(): void {
    this.batcher.close();
    this.dependencies.clock.clearTimer(this.timer);
    this.waiting.clear();
  }

  private startBatched(): void {
    this.scheduled = true;
    this.batcher.schedule(this.runOnce);
  }

  private arm(dueAt: number, now: number): void {
    if (this.timerDueAt <= dueAt) return;
    this.dependencies.clock.clearTimer(this.timer);
    this.timerDueAt = dueAt;
    this.timer = this.dependencies.clock.setTimeout(this.run, Math.max(1, Math.round(dueAt - now)));
  }

  /** The batcher calls this once for each topic that became due; the first call flushes them all. */
  private readonly runOnce = (): void => {
    if (this.scheduled) this.run();
  };

  private readonly run = (): void => {
    this.scheduled = false;
    this.dependencies.clock.clearTimer(this.timer);
    this.timerDueAt = Infinity;
    const now = this.dependencies.clock.now();
    const due: ActiveTopic[] = [];
    let nextAt = Infinity;
    for (const topic of this.waiting) {
      if (topic.dueAt === undefined || topic.dueAt <= now + togetherMs) {
        this.waiting.delete(topic);
        due.push(topic);
      } else if (topic.dueAt < nextAt) nextAt = topic.dueAt;
    }
    if (nextAt < Infinity) this.arm(nextAt, now);
    if (due.length === 1) due[0]!.flush();
    else this.flushTogether(due);
  };

  private flushTogether(due: readonly ActiveTopic[]): void {
    const staged: Outbox[] = [];
    for (const topic of due) topic.flush(staged);
    for (const outbox of staged) outbox.writeStaged();
  }
}
