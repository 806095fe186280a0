import type { Outbox } from './outbox.js';
import type { CarriedTopic } from './active-topic.js';
import { Pace } from '../primitives/micro-batcher.js';

/** Flushes of many topics happen together: connections that listen to several of them get one write instead of one for each. */
const flushPace = { gatherFromPerSec: 1000, tickMs: 10 };

/** Topics due within this time of each other are flushed together, in milliseconds. */
const togetherMs = 1;

/**
 * Runs the flushes of all topics: at the end of the turn for quiet ones, by one timer for the others. Topics that are due together share
 * one write per connection.
 */
export class Flusher {
  private readonly waiting = new Set<CarriedTopic>();
  private readonly pace = new Pace(flushPace);
  /** A run at the pace is under way. */
  private paced = false;
  private timer: NodeJS.Timeout | undefined;
  private timerDueMs = Infinity;

  /** Plans a flush; the topic has none planned. */
  readonly schedule = (topic: CarriedTopic, delayMs: number): void => {
    const nowMs = performance.now();
    topic.dueMs = nowMs + delayMs;
    this.waiting.add(topic);
    if (delayMs <= togetherMs) this.startPaced();
    else this.arm(topic.dueMs, nowMs);
  };

  forget(topic: CarriedTopic): void {
    topic.dueMs = undefined;
    this.waiting.delete(topic);
  }

  close(): void {
    this.pace.close();
    clearTimeout(this.timer);
    this.waiting.clear();
  }

  private startPaced(): void {
    this.paced = true;
    this.pace.schedule(this.runOnce);
  }

  private arm(dueMs: number, nowMs: number): void {
    if (this.timerDueMs <= dueMs) return;
    clearTimeout(this.timer);
    this.timerDueMs = dueMs;
    this.timer = setTimeout(this.run, Math.max(1, Math.round(dueMs - nowMs)));
  }

  /** The pace calls this once for each topic that became due; the first call flushes them all. */
  private readonly runOnce = (): void => {
    if (this.paced) this.run();
  };

  private readonly run = (): void => {
    this.paced = false;
    clearTimeout(this.timer);
    this.timerDueMs = Infinity;
    const nowMs = performance.now();
    const due: CarriedTopic[] = [];
    let nextMs = Infinity;
    for (const topic of this.waiting) {
      if (topic.dueMs === undefined || topic.dueMs <= nowMs + togetherMs) {
        this.waiting.delete(topic);
        due.push(topic);
      } else if (topic.dueMs < nextMs) nextMs = topic.dueMs;
    }
    if (nextMs < Infinity) this.arm(nextMs, nowMs);
    if (due.length === 1) due[0]!.flush();
    else this.flushTogether(due);
  };

  private flushTogether(due: readonly CarriedTopic[]): void {
    const staged: Outbox[] = [];
    for (const topic of due) topic.flush(staged);
    for (const outbox of staged) outbox.writeStaged();
  }
}
