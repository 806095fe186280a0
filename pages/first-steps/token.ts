/** A token for trying, from the service. */
export interface Token {
  readonly text: string;
  /** Milliseconds since 1970; undefined if it is the user's own, which the page does not renew. */
  readonly expiresAt: number | undefined;
}

/** The service gives this page no token. */
export class NoTokenError extends Error {
  override readonly name = 'NoTokenError';
}

/** @throws NoTokenError with what the service says */
export async function fetchToken(): Promise<Token> {
  const response = await fetch('/first-steps/token', { method: 'POST' }).catch(() => undefined);
  if (response === undefined) throw new NoTokenError('the service does not answer');
  const body = (await response.json()) as {
    token?: string;
    expires_at?: number;
    error?: { message: string };
  };
  if (body.token === undefined) throw new NoTokenError(body.error?.message ?? `HTTP ${response.status}`);
  return { text: body.token, expiresAt: body.expires_at };
}
