import { ClientError, failed } from './client-error.js';

/** What the app gives instead of a token when nobody is signed in. */
export const emptyToken = 'no token';

/** The token is refused for good. */
export function authFailed(message: string, cause?: ClientError): ClientError {
  return new ClientError('auth_failed', `${message}: see docs/tokens.md`, { cause });
}

export function gaveUp(attempts: number, reason: string, cause: unknown): ClientError {
  return new ClientError('give_up', `no connection after ${attempts} attempts: ${reason}`, { cause });
}

export function notConnected(what: string): ClientError {
  return new ClientError('not_connected', `${what}: no connection`);
}

export function tokenFailed(cause: unknown): ClientError {
  return failed('token_failed', 'no token', cause);
}
