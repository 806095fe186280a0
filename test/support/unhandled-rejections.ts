import { Runnable } from 'mocha';

/** Promises that were rejected, with nobody listening, during the test or hook that is running. */
let unhandled: Map<unknown, unknown> | undefined;

function onUnhandled(reason: unknown, promise: unknown): void {
  // Between two of them. Mocha fails the one before, and gives up the run.
  if (unhandled === undefined) throw reason;
  // Mocha, which does nothing about a rejection, emits it once more.
  if (unhandled.has(promise)) return;
  unhandled.set(promise, reason);
  // At once, because what is running may now wait for ever, or fail for another reason.
  console.error('Unhandled rejection:', reason);
}

/** Its message says all that a worker of Mocha passes on. */
function asFailure(reason: unknown): Error {
  return new Error(`unhandled rejection: ${String(reason)}`, { cause: reason });
}

/** Each test and each hook fails at its end if there was an unhandled rejection meanwhile. */
const { run } = Runnable.prototype;
Runnable.prototype.run = function (this: Runnable, done: (error?: unknown) => void) {
  const seen = (unhandled = new Map<unknown, unknown>());
  run.call(this, (error?: unknown) => {
    setImmediate(() => {
      if (unhandled === seen) unhandled = undefined;
      done(error ?? [...seen.values()].map(asFailure)[0]);
    });
  });
};

export const mochaHooks = {
  /** For each file, since a worker of Mocha removes all listeners after a file. */
  beforeAll(): void {
    process.off('unhandledRejection', onUnhandled).on('unhandledRejection', onUnhandled);
  },
};
