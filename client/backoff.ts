import { timerMaxMs } from './clock.js';

/** When to connect again. */
export interface ReconnectOptions {
  /** The window of the first attempt, in milliseconds. */
  readonly baseDelayMs: number;
  /** The window grows by this factor with each attempt. */
  readonly factor: number;
  /** The largest window, in milliseconds. */
  readonly maxDelayMs: number;
  /** Failed attempts in a row before `give_up`. */
  readonly maxAttempts: number;
}

/**
 * Exponential back-off with full jitter: a random moment within a window that grows. Many clients that lost their
 * connection together come back spread over the window (Brooker, "Exponential Backoff And Jitter", 2015).
 */
export class Backoff {
  private attempts = 0;

  constructor(
    private readonly reconnectOptions: ReconnectOptions,
    private readonly randomOf1: () => number = Math.random,
  ) {}

  /** Attempts since the last success. */
  get attempt(): number {
    return this.attempts;
  }

  /**
   * The delay before the next attempt, in milliseconds; undefined: give up.
   *
   * @param afterMs the service asks for at least so much
   * @param windowMs the service names the window
   */
  nextDelayMs(afterMs = 0, windowMs?: number): number | undefined {
    const { baseDelayMs, factor, maxDelayMs, maxAttempts } = this.reconnectOptions;
    if (this.attempts >= maxAttempts) return undefined;
    const ownWindowMs = Math.min(maxDelayMs, baseDelayMs * factor ** this.attempts);
    this.attempts++;
    return Math.min(timerMaxMs, Math.round(afterMs + this.randomOf1() * (windowMs ?? ownWindowMs)));
  }

  reset(): void {
    this.attempts = 0;
  }
}
