/** An answer that was not there in time; it may come yet. */
export class TimeLimitError extends Error {
  override readonly name = 'TimeLimitError';
}

/** Settles as `answer` does, or rejects with {@link TimeLimitError} after `limitMs`: who hangs on a store is worse off than without it. */
export function withTimeout<Value>(answer: Promise<Value>, limitMs: number): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new TimeLimitError(`no answer within ${limitMs} ms`)), limitMs);
    timer.unref();
    answer.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
