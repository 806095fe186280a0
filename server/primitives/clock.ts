import { setTimeout as sleep } from 'node:timers/promises';

/** A timer of a {@link Clock}. */
export interface Timer {
  /** Allows the process to end while the timer is set. */
  unref(): unknown;
}

/** A function that will be called at the end of the turn. */
export type Immediate = object;

/** The clock of the core. Tests use one that they move by hand. */
export interface Clock {
  /** Monotonic, in milliseconds: for durations and due times. */
  now(): number;
  /** Milliseconds since 1970, for timestamps that leave the process. May jump. */
  wallTime(): number;
  setTimeout(run: () => void, delayMs: number): Timer;
  setInterval(run: () => void, everyMs: number): Timer;
  /** Stops a timeout or an interval. */
  clearTimer(timer: Timer | undefined): void;
  /** Resolves after this many milliseconds. */
  sleep(ms: number): Promise<void>;
  setImmediate(run: () => void): Immediate;
  clearImmediate(immediate: Immediate | undefined): void;
}

/** The clock and the timers of Node. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  setTimeout: (run, delayMs) => setTimeout(run, delayMs),
  setInterval: (run, everyMs) => setInterval(run, everyMs),
  clearTimer: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined),
  sleep: (ms) => sleep(ms),
  setImmediate: (run) => setImmediate(run),
  clearImmediate: (immediate) => clearImmediate(immediate as NodeJS.Immediate | undefined),
};
