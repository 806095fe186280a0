import type { Clock, Immediate, Timer } from './clock.js';

interface MicroBatcherSettings {
  /** From this rate of starts per second on, starts are batched. */
  readonly lingerFromPerSec: number;
  /** Time between two batches, in milliseconds. */
  readonly tickMs: number;
}

/** The rate is measured over this time, in milliseconds. */
const measureMs = 50;

/**
 * Starts work of all topics of a replica. At a low rate, each start runs at the end of the turn. When many
 * topics are busy, starts run together every few milliseconds: then one system call, here and at the other
 * end, serves many topics.
 */
export class MicroBatcher {
  private waiting: (() => void)[] = [];
  private immediate: Immediate | undefined;
  private timer: Timer | undefined;
  private lastStartAt = -Infinity;
  private countedFrom = -Infinity;
  private counted = 0;
  private busy = false;

  constructor(
    private readonly dependencies: { readonly clock: Clock },
    private readonly settings: MicroBatcherSettings,
  ) {}

  /** Calls `start` with the next batch. */
  schedule(start: () => void): void {
    this.waiting.push(start);
    if (this.immediate !== undefined || this.timer !== undefined) return;
    const { clock } = this.dependencies;
    const waitMs = this.busy ? this.lastStartAt + this.settings.tickMs - clock.now() : 0;
    if (waitMs < 1) this.immediate = clock.setImmediate(this.run);
    else this.timer = clock.setTimeout(this.run, waitMs);
  }

  close(): void {
    this.dependencies.clock.clearImmediate(this.immediate);
    this.dependencies.clock.clearTimer(this.timer);
    this.waiting = [];
  }

  private readonly run = (): void => {
    this.immediate = undefined;
    this.timer = undefined;
    const { waiting } = this;
    this.waiting = [];
    this.lastStartAt = this.dependencies.clock.now();
    this.measure(waiting.length);
    for (const start of waiting) start();
  };

  private measure(starts: number): void {
    this.counted += starts;
    const elapsedMs = this.lastStartAt - this.countedFrom;
    if (elapsedMs < measureMs) return;
    this.busy = (this.counted / elapsedMs) * 1000 >= this.settings.lingerFromPerSec;
    this.counted = 0;
    this.countedFrom = this.lastStartAt;
  }
}
