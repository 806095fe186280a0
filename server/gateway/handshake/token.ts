import type { IncomingMessage } from 'node:http';
import type { Socket } from 'socket.io';
import { RefusalError } from '../../../shared/errors.js';
import { bearerToken } from '../../protocol/bearer-token.js';

/**
 * The token of a Socket.IO client: `auth.token`, else `Authorization: Bearer`, else `?token=`.
 *
 * @throws RefusalError `unauthorized`
 */
export function tokenOfSocket({ handshake: { auth, headers, query } }: Socket): string {
  if (typeof auth['token'] === 'string') return auth['token'].replace(/^Bearer /i, '');
  const bearer = bearerToken(headers.authorization);
  if (bearer !== undefined) return bearer;
  if (typeof query['token'] === 'string') return query['token'];
  throw new RefusalError(
    'unauthorized',
    'no token: give it as auth.token, as an Authorization header or as ?token=',
  );
}

/**
 * The token of a `/ws` client: `?token=`, else `Authorization: Bearer`.
 *
 * @throws RefusalError `unauthorized`
 */
export function tokenOfUpgrade(request: IncomingMessage, url: URL): string {
  const token = url.searchParams.get('token') ?? bearerToken(request.headers.authorization);
  if (token !== undefined && token !== '') return token;
  throw new RefusalError('unauthorized', 'no token: give it as ?token= or as an Authorization header');
}
