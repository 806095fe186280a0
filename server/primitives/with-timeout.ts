/** An answer that was not there in time; it may come yet. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
}

/** Settles as `answer` does, or rejects with {@link NoAnswerError} after `limitMs`: who hangs on a store is worse off than without it. */
export function answerInTime<Value>(answer: Promise<Value>, limitMs: number): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new NoAnswerError(`no answer within ${limitMs} ms`)), limitMs);
    timer.unref();
    answer.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
