import type { IncomingMessage } from 'node:http';
import type { Socket } from 'socket.io';
import { RefusalError } from '../../../shared/errors.js';
import { bearerToken } from '../../protocol/bearer-token.js';
import { singleHeader } from '../../protocol/single-header.js';
import { tokenOfProtocols } from '../../protocol/token-protocol.js';

/**
 * The token of a Socket.IO client: `auth.token`, else `Authorization: Bearer`, else the subprotocol of its WebSocket, else `?token=`. One that
 * is null or empty is none.
 *
 * @throws RefusalError `unauthorized`; `invalid_message` if `Authorization` or `?token=` is needed and there twice
 */
export function tokenOfSocket({ handshake, request }: Pick<Socket, 'handshake' | 'request'>): string {
  const { auth, headers, query } = handshake;
  const given = (auth['token'] ?? '') as unknown;
  if (typeof given !== 'string')
    throw new RefusalError('unauthorized', 'auth.token must be a string', { field: 'auth.token' });
  if (given !== '') return given.replace(/^Bearer /i, '');
  singleHeader(request, 'Authorization');
  // A program may have changed those of the handshake.
  const bearer = bearerToken(headers.authorization);
  if (bearer !== undefined) return bearer;
  const offered = tokenOfProtocols(headers['sec-websocket-protocol'] as string | undefined);
  if (offered !== undefined) return offered;
  if (Array.isArray(query['token'])) throw twoTokens();
  if (typeof query['token'] === 'string' && query['token'] !== '') return query['token'];
  throw new RefusalError(
    'unauthorized',
    'no token: give it as auth.token (io(url, { auth: { token } })), as an Authorization header or as ?token=',
  );
}

/** As {@link tokenOfSocket}, of a client that has no socket yet. @throws RefusalError as {@link tokenOfSocket} */
export function tokenOfRequest(auth: Readonly<Record<string, unknown>>, request: IncomingMessage): string {
  const { headers, url = '' } = request;
  const token = tokenOfQuery(new URL(url, 'http://localhost'));
  const query = token === undefined ? {} : { token };
  return tokenOfSocket({ handshake: { auth, headers, query } as Socket['handshake'], request });
}

/**
 * The token of a `/ws` client: the subprotocol, else `?token=`, else `Authorization: Bearer`. One that is empty is none.
 *
 * @throws RefusalError as {@link tokenOfSocket}
 */
export function tokenOfUpgrade(request: IncomingMessage, url: URL): string {
  const token =
    tokenOfProtocols(request.headers['sec-websocket-protocol']) ??
    tokenOfQuery(url) ??
    bearerToken(singleHeader(request, 'Authorization'));
  if (token !== undefined && token !== '') return token;
  throw new RefusalError(
    'unauthorized',
    "no token: give it as a protocol (new WebSocket(url, ['rtc', 'rtc.token.<token>'])), as an Authorization header or as ?token=",
  );
}

/** @throws RefusalError `invalid_message`: a proxy may have read another one of two */
function tokenOfQuery({ searchParams }: URL): string | undefined {
  const [token, ...others] = searchParams.getAll('token');
  if (others.length > 0) throw twoTokens();
  return token === '' ? undefined : token;
}

function twoTokens(): RefusalError {
  return new RefusalError('invalid_message', '?token= is there more than once', { field: 'token' });
}
