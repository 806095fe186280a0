import type { IncomingMessage } from 'node:http';
import { RefusalError } from '../../../shared/errors.js';

/**
 * Makes the check of the `Origin` header. Requests without one do not come from a browser.
 *
 * @param allowed origins from the settings; `*` for any
 * @returns a function that throws RefusalError `forbidden`
 */
export function originCheck(allowed: readonly string[]): (request: IncomingMessage) => void {
  const anyOrigin = allowed.includes('*');
  return ({ headers: { origin } }) => {
    if (anyOrigin || origin === undefined || allowed.includes(origin)) return;
    throw new RefusalError('forbidden', 'this origin may not connect');
  };
}
