import type { Clock } from './clock.js';
import { tokenFailed } from './connection-errors.js';
import { inTime } from './in-time.js';

/** Why the app is asked for a token. */
export type TokenReason = 'connect' | 'expiring' | 'refused';

/** A token, or what gets one whenever it is needed. */
export type TokenSource = string | ((reason: TokenReason) => string | Promise<string>);

/** Rejects with a ClientError. @param isNew the token is to be asked for after this call */
export type TokenRequests = (reason: TokenReason, isNew?: boolean) => Promise<string>;

/** Gets tokens of the app: one request at a time, whoever asks. One that is not answered in time has failed. */
export function tokenRequests(
  { token, connectTimeoutMs }: { readonly token: TokenSource; readonly connectTimeoutMs: number },
  clock: Clock,
): TokenRequests {
  /** The app has been asked. */
  let running: Promise<string> | undefined;
  /** It is asked next. */
  let next: Promise<string> | undefined;
  return (reason, isNew) => {
    if (running && !isNew) return running;
    return (next ??= Promise.resolve(running)
      .catch(() => {})
      .then(() => {
        running = next;
        next = undefined;
        return inTime(clock, connectTimeoutMs, typeof token === 'string' ? token : token(reason));
      })
      // An app may give anything; what has no JSON could not be sent.
      .then(String)
      .catch((cause: unknown) => {
        throw tokenFailed(cause);
      })
      .finally(() => {
        running = undefined;
      }));
  };
}
