import { systemClock, type Clock } from './clock.js';

/** An answer did not arrive in time. It may still arrive later. */
export class TimeLimitError extends Error {
  override readonly name = 'TimeLimitError';
}

/**
 * Settles as `answer` does, or rejects with {@link TimeLimitError} after `limitMs`. A wait without limit
 * would block the caller if a store stalls.
 */
export function withTimeout<Value>(
  answer: Promise<Value>,
  limitMs: number,
  clock: Pick<Clock, 'setTimeout' | 'clearTimer'> = systemClock,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new TimeLimitError(`no answer within ${limitMs} ms`));
    const timer = clock.setTimeout(late, limitMs);
    timer.unref();
    answer.then(resolve, reject).finally(() => clock.clearTimer(timer));
  });
}
