import type { Server, Socket } from 'socket.io';
import { withoutProtocolToken } from '../../protocol/token-protocol.js';
import { hasOwnNamespaces } from './namespaces.js';

/** Stands in a handshake in place of a token. */
export const hiddenToken = '[redacted]';

type Handshake = { -readonly [Field in keyof Socket['handshake']]: Socket['handshake'][Field] };

const protocols = 'sec-websocket-protocol';

/**
 * Replaces the token in the handshake of a connected socket, and removes the positions of its session: neither is needed any more, and a
 * handshake is logged by programs and sent to other replicas (`fetchSockets`). The rest stays as it is. The objects that a program holds are
 * not changed, only the fields of the handshake.
 *
 * The token also leaves the request, unless the program has namespaces of its own: these may authenticate by the same request.
 */
export function hideToken(socket: Socket, io: Server): void {
  const handshake = socket.handshake as Handshake;
  const { auth, headers, query } = handshake;
  if ('token' in auth || 'positions' in auth) {
    const { token, positions: _positions, ...rest } = auth;
    handshake.auth = { ...rest, ...(token !== undefined && { token: hiddenToken }) };
  }
  const hasBearer = isBearer(headers.authorization);
  const offered = headers[protocols];
  const keptProtocols = typeof offered === 'string' ? withoutProtocolToken(offered) : undefined;
  const hasProtocol = keptProtocols !== undefined && keptProtocols !== offered;
  if (hasBearer || hasProtocol)
    handshake.headers = {
      ...headers,
      ...(hasBearer && { authorization: `Bearer ${hiddenToken}` }),
      ...(hasProtocol && { [protocols]: keptProtocols }),
    };
  if (query['token'] !== undefined) handshake.query = { ...query, token: hiddenToken };
  // Of `/ws` only the address is known.
  const url = withoutToken(handshake.url, hiddenToken);
  const hasQuery = url !== handshake.url;
  handshake.url = url;
  if ((hasBearer || hasProtocol || hasQuery) && !hasOwnNamespaces(io)) cleanRequest(socket, keptProtocols);
}

/** Removes the token: a client that joins again on this transport gives it as `auth.token`. */
function cleanRequest({ request }: Socket, keptProtocols: string | undefined): void {
  const { authorization, ...headers } = request.headers;
  request.headers = {
    ...headers,
    ...(authorization !== undefined && !isBearer(authorization) && { authorization }),
    ...(keptProtocols !== undefined && { [protocols]: keptProtocols }),
  };
  request.rawHeaders = request.rawHeaders.flatMap((name, i, all) => {
    if (i % 2 === 1) return [];
    const value = all[i + 1] ?? '';
    if (name.toLowerCase() === 'authorization' && isBearer(value)) return [];
    return [name, name.toLowerCase() === protocols ? withoutProtocolToken(value) : value];
  });
  if (request.url !== undefined) request.url = withoutToken(request.url);
  const { _query: query } = request as { _query?: Record<string, string> };
  if (query !== undefined) delete query['token'];
}

function isBearer(authorization: string | undefined): boolean {
  return authorization !== undefined && /^Bearer /i.test(authorization);
}

/** An address without the value of `token`, however it is written. */
function withoutToken(url: string, instead?: string): string {
  const [path = '', query] = url.split(/\?(.*)/s);
  if (query === undefined) return url;
  const parameters = new URLSearchParams(query);
  if (!parameters.has('token')) return url;
  if (instead === undefined) parameters.delete('token');
  else parameters.set('token', instead);
  return `${path}?${parameters}`;
}
