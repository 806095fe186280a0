import type { Log } from '../logging/log.js';
import type { Clock } from '../primitives/clock.js';

/** One part to stop. */
export interface StopStep {
  /** For the log. */
  readonly part: string;
  /** Longest time that it may take, in milliseconds; it gets less if less is left. */
  readonly limitMs: number;
  /** Stops the part, at best within the given time. */
  readonly run: (limitMs: number) => void | Promise<void>;
}

/** How a stop went. */
export interface StopReport {
  /** Parts that did not stop within their time, or failed to. The others were stopped in order. */
  readonly unfinished: readonly string[];
}

/**
 * Stops parts one after the other. A part that hangs or fails keeps no other from being stopped: each may use at most half of the time that
 * is left, so the last one gets some too.
 */
export class OrderedStop {
  constructor(
    private readonly dependencies: { readonly log: Log; readonly clock: Clock },
    private readonly settings: { readonly limitMs: number },
  ) {}

  /** Never rejects. */
  async run(steps: readonly StopStep[]): Promise<StopReport> {
    const { log, clock } = this.dependencies;
    const unfinished: string[] = [];
    const endsAt = clock.now() + this.settings.limitMs;
    for (const step of steps) {
      const limitMs = Math.max(1, Math.min(step.limitMs, (endsAt - clock.now()) / 2));
      try {
        if (await this.isDone(step, limitMs)) continue;
        log.error('Not stopped in time', { part: step.part, limit_ms: Math.round(limitMs) });
      } catch (error) {
        log.error('Not stopped', { part: step.part, error });
      }
      unfinished.push(step.part);
    }
    return { unfinished };
  }

  /** False if the step takes too long. The timer keeps the process alive: a step can wait for something that does not. */
  private isDone({ run }: StopStep, limitMs: number): Promise<boolean> {
    const { clock } = this.dependencies;
    return new Promise((resolve, reject) => {
      const timer = clock.setTimeout(() => resolve(false), limitMs);
      Promise.resolve()
        .then(() => run(limitMs))
        .then(() => resolve(true), reject)
        .finally(() => clock.clearTimer(timer));
    });
  }
}
