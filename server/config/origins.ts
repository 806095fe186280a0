/** What an origin of the settings looks like, for whoever wrote a wrong one. */
export const originRule =
  'must be an origin such as https://app.example or http://localhost:3000: scheme and host, a port if it is not the usual one, no path and no wildcard; or * for any';

/**
 * An origin as browsers send it (RFC 6454, section 6.2): in lower case, in punycode, without the usual port and without a slash. Undefined if
 * the text is none. Origins of apps (`capacitor://localhost`) and of pages without one (`null`) are origins too.
 */
export function originOf(text: string): string | undefined {
  if (text === '*' || text === 'null') return text;
  const parts = /^([a-z][a-z0-9+.-]*):\/\/([^/\\?#@*\s]+)\/?$/i.exec(text);
  if (parts === null || !URL.canParse(text)) return undefined;
  const { origin, protocol, host } = new URL(text);
  if (host === '') return undefined;
  return origin === 'null' ? `${protocol}//${host}`.toLowerCase() : origin;
}

/** The origins of the settings as browsers send them; `*` for any. */
export function allowedOrigins(written: readonly string[]): readonly string[] | '*' {
  if (written.includes('*')) return '*';
  return written.flatMap((text) => originOf(text) ?? []);
}
