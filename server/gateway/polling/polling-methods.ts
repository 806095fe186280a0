import type { IncomingMessage, ServerResponse } from 'node:http';
import { RefusalError } from '../../../shared/errors.js';
import { refuseRequest } from '../handshake/handshake-refusal.js';

const allow = 'GET, POST, OPTIONS';

/** A middleware of engine.io, which answers 500 to other methods on a transport that there is. */
export function refuseOtherMethods(
  { method }: IncomingMessage,
  response: ServerResponse,
  next: () => void,
): void {
  if (method === 'GET' || method === 'POST') {
    next();
    return;
  }
  response.setHeader('Allow', allow);
  if (method === 'OPTIONS') response.writeHead(204).end();
  else
    refuseRequest(
      response,
      new RefusalError('method_not_allowed', `long-polling takes ${allow}, not ${method}`),
    );
}
