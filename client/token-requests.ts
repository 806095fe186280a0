import type { TokenReason, TokenSource } from './connection.js';

/** Gets tokens of the app: one request at a time, whoever asks. */
export function tokenRequests(source: TokenSource): (reason: TokenReason) => Promise<string> {
  let request: Promise<string> | undefined;
  return (reason) =>
    (request ??= Promise.resolve()
      .then(() => (typeof source === 'string' ? source : source(reason)))
      .finally(() => (request = undefined)));
}
