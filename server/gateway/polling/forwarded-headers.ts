/** Header fields that belong to one HTTP connection. */
const ofConnection = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
];
/** Tokens do not travel between replicas: a transport is authenticated already. */
const secret = ['authorization', 'proxy-authorization'];

/** The header fields of a request that its owner gets: names and values in turn. */
export function requestHeaders(raw: readonly string[]): string[] {
  return without(raw, [...ofConnection, ...secret]);
}

/** The header fields of the owner's response that the client gets. */
export function responseHeaders(raw: readonly string[]): string[] {
  return without(raw, [...ofConnection, 'date']);
}

function without(raw: readonly string[], names: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2)
    if (!names.includes(raw[at]!.toLowerCase())) kept.push(raw[at]!, raw[at + 1]!);
  return kept;
}

/** The address of a request without its token. */
export function withoutToken(url: string): string {
  return url.replace(/([?&]token=)[^&]*/g, '$1');
}
