import { systemClock, type Clock } from './clock.js';

/** An answer that was not there in time; it may come yet. */
export class TimeLimitError extends Error {
  override readonly name = 'TimeLimitError';
}

/** Settles as `answer` does, or rejects with {@link TimeLimitError} after `limitMs`: who hangs on a store is worse off than without it. */
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
