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
  /** An event that came before the first call of `next`. */
  let early: Value | undefined;
  let end: ClientError | undefined;
  let waiting: { give(result: IteratorResult<Value, undefined>): void; fail(error: Error): void } | undefined;
  let handled: (() => void) | undefined;
  const over = { done: true, value: undefined } as const;
  onEnd((error) => {
    end ??= error;
    if (error.code === 'closed') waiting?.give(over);
    else waiting?.fail(error);
    waiting = undefined;
  });
  const remove = listen(
    (value) =>
      new Promise((resolve) => {
        handled = resolve;
        if (waiting) waiting.give({ done: false, value });
        else early = value;
        waiting = undefined;
      }),
  );
  return {
    next: () =>
      new Promise((give, fail) => {
        if (early) {
          give({ done: false, value: early });
          early = undefined;
          return;
        }
        if (end?.code === 'closed') give(over);
        else if (end) fail(end);
        else waiting = { give, fail };
        const done = handled;
        handled = undefined;
        done?.();
      }),
    return() {
      handled?.();
      remove();
      close();
      return Promise.resolve(over);
    },
  };
}
