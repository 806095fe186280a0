import type { Clock, Timer } from './clock.js';

/** Timers that end together. */
export class Timers {
  private readonly running = new Set<Timer>();

  constructor(private readonly clock: Clock) {}

  /** Runs after a delay. The result cancels it. */
  later(run: () => void, delayMs: number): () => void {
    const cancel = () => {
      this.clock.clearTimer(timer);
      this.running.delete(timer);
    };
    const timer = this.clock.setTimeout(() => {
      cancel();
      run();
    }, delayMs);
    this.running.add(timer);
    return cancel;
  }

  clear(): void {
    for (const timer of this.running) this.clock.clearTimer(timer);
    this.running.clear();
  }
}
