import { RefusalError } from '../../shared/errors.js';

/** The subprotocol that the service selects. It is not secret. */
const ownProtocol = 'rtc';

/**
 * A subprotocol with this prefix carries the token. Browsers cannot set headers of a WebSocket, and an address with a token ends up in the
 * logs of proxies: `new WebSocket(url, ['rtc', 'rtc.token.<token>'])`.
 */
const tokenPrefix = 'rtc.token.';

const howTo = `give it as new WebSocket(url, ['${ownProtocol}', '${tokenPrefix}<token>'])`;

/** Characters of a JWT; all of them may stand in a subprotocol (RFC 6455, 4.1). */
const tokenText = /^[\w-]+(?:\.[\w-]+)*$/;

/**
 * The token in a `Sec-WebSocket-Protocol` header; undefined if it offers none.
 *
 * @throws RefusalError `unauthorized` if the header offers a token in a form that is not usable
 */
export function tokenOfProtocols(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const offered = header.split(',').map((name) => name.trim());
  const tokens = offered.filter(isTokenProtocol);
  if (tokens.length === 0) return undefined;
  const token = tokens[0]!.slice(tokenPrefix.length);
  if (tokens.length > 1) throw refusal('more than one token');
  if (token === '') throw refusal('the token is empty');
  if (!tokenText.test(token)) throw refusal('the token is not a JWT');
  // A browser closes a WebSocket for which the server has selected none of the offered protocols, and the token must not be repeated.
  if (offered.every(isTokenProtocol))
    throw refusal(`the protocol ${ownProtocol} is missing beside the token`);
  return token;
}

/**
 * The subprotocol that the answer of an upgrade selects, of those that the client has offered: never one with a token; false: none. Other
 * protocols are accepted as before, because clients of other services send them.
 */
export function selectProtocol(offered: ReadonlySet<string>): string | false {
  if (offered.has(ownProtocol)) return ownProtocol;
  for (const name of offered) if (!isTokenProtocol(name)) return name;
  return false;
}

/** The header without tokens. */
export function withoutProtocolToken(header: string): string {
  return header
    .split(',')
    .map((name) => name.trim())
    .filter((name) => !isTokenProtocol(name))
    .join(', ');
}

function isTokenProtocol(name: string): boolean {
  return name.toLowerCase().startsWith(tokenPrefix);
}

function refusal(problem: string): RefusalError {
  return new RefusalError('unauthorized', `Sec-WebSocket-Protocol: ${problem}; ${howTo}`, {
    field: 'Sec-WebSocket-Protocol',
  });
}
