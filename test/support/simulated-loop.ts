import { FlushShare } from '../../server/fanout/flush-share.js';
import { FlushWindow, type FlushWindowSettings } from '../../server/fanout/flush-window.js';

/** What one topic costs the simulated loop. */
export interface TopicLoad {
  /** Messages a second. */
  ratePerSec: number;
  /** Milliseconds that a flush takes, whatever it carries. */
  flushMs: number;
  /** Milliseconds that each message takes apart from that: to read it, to store it, and to encode it. */
  readonly messageMs: number;
}

/** One topic of a {@link SimulatedLoop}. */
export class SimulatedTopic {
  readonly window: FlushWindow;
  /**
   * Since they were last cleared: times between two flushes, times from a message to the end of its flush, and delays
   * of planned flushes.
   */
  readonly intervals: number[] = [];
  readonly waits: number[] = [];
  readonly delays: number[] = [];
  nextMessageAt: number;
  dueAt = Infinity;
  private pending: number[] = [];
  private flushedAt = 0;

  constructor(
    share: FlushShare,
    settings: FlushWindowSettings,
    readonly load: TopicLoad,
    now: number,
  ) {
    this.window = new FlushWindow(share, settings);
    this.nextMessageAt = now + 1000 / load.ratePerSec;
  }

  arrive(now: number): void {
    this.pending.push(this.nextMessageAt);
    this.nextMessageAt += 1000 / this.load.ratePerSec;
    if (this.dueAt < Infinity) return;
    const delayMs = this.window.delayMs(now);
    this.delays.push(delayMs);
    this.dueAt = now + delayMs;
  }

  /** Returns the time at which the flush has ended. */
  flush(now: number): number {
    this.dueAt = Infinity;
    const endedAt = now + this.load.flushMs;
    for (const sentAt of this.pending) this.waits.push(endedAt - sentAt);
    this.window.flushed(now, endedAt, this.pending.length);
    this.pending = [];
    this.intervals.push(now - this.flushedAt);
    this.flushedAt = now;
    return endedAt;
  }

  clear(): void {
    this.intervals.length = 0;
    this.waits.length = 0;
    this.delays.length = 0;
  }
}

/**
 * An event loop on a fake clock: topics get messages and flush, each thing takes its time, and nothing happens
 * meanwhile. The window and the share are the real ones.
 */
export class SimulatedLoop {
  readonly topics: SimulatedTopic[] = [];
  readonly share = new FlushShare({ utilization: () => this.measure() });
  /** Share of the time that other work takes, from 0 to 1. */
  otherWork = 0;
  private now = 0;
  private busyMs = 0;
  private measuredAt = 0;
  private measuredBusyMs = 0;

  constructor(private readonly settings: FlushWindowSettings = { windowMs: 5, maxWindowMs: 100 }) {}

  add(load: TopicLoad): SimulatedTopic {
    const topic = new SimulatedTopic(this.share, this.settings, load, this.now);
    this.topics.push(topic);
    return topic;
  }

  /** Lets the time pass, and returns the share of it in which the loop was busy. */
  run(ms: number): number {
    const from = { now: this.now, busyMs: this.busyMs };
    while (this.now < from.now + ms) this.turn(from.now + ms);
    return (this.busyMs - from.busyMs) / (this.now - from.now);
  }

  private turn(end: number): void {
    const { topics } = this;
    let next = end;
    for (const { dueAt, nextMessageAt } of topics) next = Math.min(next, dueAt, nextMessageAt);
    const turnAt = Math.max(this.now, next);
    // Other work fills a part of the time between.
    this.busyMs += (turnAt - this.now) * this.otherWork;
    this.now = turnAt;
    for (const topic of topics) {
      while (topic.nextMessageAt <= turnAt) {
        topic.arrive(this.now);
        this.spend(topic.load.messageMs);
      }
    }
    for (const topic of topics) {
      if (topic.dueAt > this.now) continue;
      this.share.adjust(this.now);
      this.spend(topic.flush(this.now) - this.now);
    }
  }

  private spend(ms: number): void {
    this.now += ms;
    this.busyMs += ms;
  }

  private measure(): number {
    const share = (this.busyMs - this.measuredBusyMs) / Math.max(1e-6, this.now - this.measuredAt);
    this.measuredAt = this.now;
    this.measuredBusyMs = this.busyMs;
    return share;
  }
}
