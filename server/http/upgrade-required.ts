import type { RequestHandler } from 'express';
import { RefusalError } from '../../shared/errors.js';

/** For the path of `/ws`, where a request came without an upgrade: 426 (RFC 9110, section 15.5.22). */
export const upgradeRequired: RequestHandler = (request, response) => {
  response.setHeader('Upgrade', 'websocket');
  response.setHeader('Connection', 'Upgrade');
  throw new RefusalError(
    'upgrade_required',
    `${request.path} takes WebSockets: send Upgrade: websocket and Connection: Upgrade, and see that no proxy removes them`,
  );
};
