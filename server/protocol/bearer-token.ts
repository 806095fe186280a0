/** The token of an `Authorization: Bearer` header (RFC 6750); undefined if the header has none. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer (.+)$/i.exec(authorization ?? '')?.[1];
}
