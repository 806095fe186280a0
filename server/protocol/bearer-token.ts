/** The token of an `Authorization: Bearer` header (RFC 6750); undefined if the header has none. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer (.+)$/i.exec(authorization ?? '')?.[1];
}

/**
 * The `WWW-Authenticate` header of a 401 (RFC 9110, section 11.6.1; RFC 6750, section 3).
 *
 * @param hasToken whether the request came with a token
 */
export function bearerChallenge(hasToken: boolean): string {
  return `Bearer realm="realtime-communication"${hasToken ? ', error="invalid_token"' : ''}`;
}
