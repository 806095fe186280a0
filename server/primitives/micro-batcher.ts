import type { Clock, Immediate, Timer } from './clock.js';

interface MicroBatcherSettings {
  /** From this many starts a second on, starts gather. */
  readonly lingerFromPerSec: number;
  /** Then they happen together this often, in milliseconds. */
  readonly tickMs: number;
}

/** The rate is taken over this time, in milliseconds. */
const measureMs = 50;

/**
 * Starts work of all topics of a replica. While there is little of it, each start comes at the end of the turn. With many topics in traffic
 * they come together every few milliseconds: a system call, here and at the other end, then serves many topics instead of one.
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

  /** Calls `start` when its turn has come. */
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
