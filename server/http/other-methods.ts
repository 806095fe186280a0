import type { RequestHandler } from 'express';
import { RefusalError } from '../../shared/errors.js';

/**
 * For all methods of a path that its other handlers do not take: 405 with `Allow` (RFC 9110, section 15.5.6).
 *
 * @param taken methods in capital letters; with GET also HEAD
 */
export function otherMethods(...taken: readonly string[]): RequestHandler {
  const allow = [...taken, ...(taken.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ');
  return (request, response) => {
    response.setHeader('Allow', allow);
    if (request.method === 'OPTIONS') {
      response.status(204).end();
      return;
    }
    const address = request.baseUrl + request.path;
    throw new RefusalError('method_not_allowed', `${address} takes ${allow}, not ${request.method}`);
  };
}
