/** A timer of a {@link Clock}. */
export interface Timer {
  /** Node only: allows the process to end while the timer is set. */
  unref?(): unknown;
}

/** Time, as the library uses it. Tests move one by hand. */
export interface Clock {
  /** Monotonic, in milliseconds. May stand still while the machine sleeps. */
  now(): number;
  /** Milliseconds since 1970. May jump. */
  wallTime(): number;
  setTimeout(run: () => void, delayMs: number): Timer;
  clearTimer(timer: Timer | undefined): void;
}

/** A longer timer would fire at once. */
export const timerMaxMs = 2_147_483_647;

/** The clock of the page or process. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  setTimeout: (run, delayMs) => setTimeout(run, Math.min(delayMs, timerMaxMs)) as Timer,
  clearTimer: (timer) => clearTimeout(timer as Parameters<typeof clearTimeout>[0]),
};
