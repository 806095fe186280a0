/** Why the app is asked for a token. */
export type TokenReason = 'connect' | 'expiring' | 'refused';

/** A token, or what gets one whenever it is needed. */
export type TokenSource = string | ((reason: TokenReason) => string | Promise<string>);

/** Gets tokens of the app: one request at a time, whoever asks. */
export function tokenRequests(source: TokenSource): (reason: TokenReason) => Promise<string> {
  let request: Promise<string> | undefined;
  return (reason) =>
    (request ??= Promise.resolve()
      .then(() => (typeof source === 'string' ? source : source(reason)))
      .finally(() => (request = undefined)));
}
