import type { Outbox } from './outbox.js';
import type { ActiveTopic } from './active-topic.js';
import type { Clock, Immediate, Timer } from '../primitives/clock.js';
import { FlushShare } from './flush-share.js';
import { Registry } from '../primitives/registry.js';
import type { LoopMeter } from '../primitives/loop-meter.js';

/** Topics due within this time of each other are flushed together, in milliseconds. */
const togetherMs = 1;

interface FlusherDependencies {
  readonly clock: Clock;
  /** How busy the event loop is. */
  readonly utilization: LoopMeter;
}

/**
 * Runs the flushes of all topics: those of quiet topics at the end of the turn, those of others by one timer.
 * Topics that are due together share one write per connection.
 */
export class Flusher {
  private readonly waiting = new Registry<ActiveTopic>();
  private immediate: Immediate | undefined;
  private timer: Timer | undefined;
  private timerDueAt = Infinity;

  /** The share of the event loop that the flushes of one topic may take. */
  readonly share: FlushShare;

  constructor(private readonly dependencies: FlusherDependencies) {
    this.share = new FlushShare(dependencies);
  }

  /** Plans a flush of a topic that has none planned. */
  readonly schedule = (topic: ActiveTopic, delayMs: number): void => {
    const now = this.dependencies.clock.now();
    topic.dueAt = now + delayMs;
    this.waiting.add(topic);
    if (delayMs <= togetherMs) this.immediate ??= this.dependencies.clock.setImmediate(this.run);
    else this.arm(topic.dueAt, now);
  };

  forget(topic: ActiveTopic): void {
    topic.dueAt = undefined;
    this.waiting.delete(topic);
  }

  close(): void {
    this.dependencies.clock.clearImmediate(this.immediate);
    this.dependencies.clock.clearTimer(this.timer);
    for (const topic of this.waiting) this.waiting.delete(topic);
  }

  private arm(dueAt: number, now: number): void {
    if (this.timerDueAt <= dueAt) return;
    this.dependencies.clock.clearTimer(this.timer);
    this.timerDueAt = dueAt;
    this.timer = this.dependencies.clock.setTimeout(this.run, Math.max(1, Math.round(dueAt - now)));
  }

  private readonly run = (): void => {
    this.dependencies.clock.clearImmediate(this.immediate);
    this.immediate = undefined;
    this.dependencies.clock.clearTimer(this.timer);
    this.timerDueAt = Infinity;
    const now = this.dependencies.clock.now();
    this.share.adjust(now);
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
    if (staged.length === 0) return;
    const { clock } = this.dependencies;
    const startedAt = clock.now();
    for (const outbox of staged) outbox.writeStaged();
    const ms = (clock.now() - startedAt) / due.length;
    for (const topic of due) topic.wrote(ms);
  }
}
