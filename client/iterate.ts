import type { ClientError } from './client-error.js';

/**
 * An async iterator over events that wait for their listener: an event counts as handled when the loop asks for the next.
 *
 * @param listen adds the listener; returns a function that removes it
 * @param onEnd adds a listener for the end of the events
 * @param close called when the loop is left
 */
export function iterate<Value>(
  listen: (listener: (value: Value) => Promise<void>) => () => void,
  onEnd: (listener: (error: ClientError) => void) => unknown,
  close: () => void,
): AsyncIterator<Value, undefined> {
  /** An event that is not given to the loop yet. */
  let next: Value | undefined;
  let end: ClientError | undefined;
  /** Each `next()` that waits. */
  const asked: { give(result: IteratorResult<Value, undefined>): void; fail(error: Error): void }[] = [];
  let handled: (() => void) | undefined;
  const over = { done: true, value: undefined } as const;
  /** Answers the loop, if there is something. */
  const answer = () => {
    while (asked[0] && (next || end)) {
      const { give, fail } = asked.shift()!;
      if (next) {
        give({ done: false, value: next });
        next = undefined;
        // Who asks for the one after it already has handled it.
        if (asked[0]) handled?.();
      } else if (end!.code === 'closed') give(over);
      else {
        fail(end!);
        // The loop is left by the error.
        close();
      }
    }
  };
  onEnd((error) => {
    end ??= error;
    answer();
  });
  const remove = listen(
    (value) =>
      new Promise((resolve) => {
        handled = resolve;
        next = value;
        answer();
      }),
  );
  return {
    next: () =>
      new Promise((give, fail) => {
        asked.push({ give, fail });
        if (!next) handled?.();
        answer();
      }),
    return() {
      handled?.();
      remove();
      close();
      return Promise.resolve(over);
    },
  };
}
