/** The version of what tabs say to each other. Tabs of releases with different versions never meet. */
const protocol = 1;

/** Claims that differ between two tokens of the same user and rights. */
const ofOneToken = ['iat', 'exp', 'nbf', 'jti'];

/**
 * The tabs that may share a connection: same service, same user, same rights. A token that cannot be read is shared with
 * nobody who has another one.
 */
export function groupOf(url: string, path: string | undefined, token: string, name: string): string {
  return `rtc/${protocol}/${JSON.stringify([name, url, path ?? '', rightsOf(token)])}`;
}

function rightsOf(token: string): unknown {
  try {
    const [, body = ''] = token.split('.');
    const bytes = Uint8Array.from(atob(body.replaceAll('-', '+').replaceAll('_', '/')), (char) =>
      char.charCodeAt(0),
    );
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    return Object.entries(claims)
      .filter(([claim]) => !ofOneToken.includes(claim))
      .sort(([a], [b]) => (a < b ? -1 : 1));
  } catch {
    return token;
  }
}
