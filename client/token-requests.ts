import type { Clock, Timer } from './clock.js';

/** Why the app is asked for a token. */
export type TokenReason = 'connect' | 'expiring' | 'refused';

/** A token, or what gets one whenever it is needed. */
export type TokenSource = string | ((reason: TokenReason) => string | Promise<string>);

/** Gets tokens of the app: one request at a time, whoever asks. One that is not answered in time has failed. */
export function tokenRequests(
  source: TokenSource,
  clock: Clock,
  limitMs: number,
): (reason: TokenReason) => Promise<string> {
  let request: Promise<string> | undefined;
  return (reason) => {
    let timer: Timer | undefined;
    return (request ??= Promise.race([
      new Promise<never>((_, reject) => {
        timer = clock.setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
        timer.unref?.();
      }),
      Promise.resolve().then(() => (typeof source === 'string' ? source : source(reason))),
    ]).finally(() => {
      clock.clearTimer(timer);
      request = undefined;
    }));
  };
}
