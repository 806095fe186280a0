import type { IncomingMessage } from 'node:http';
import { RefusalError } from '../../../shared/errors.js';
import { allowedOrigins } from '../../config/origins.js';

/** Characters of a refused origin that the refusal repeats. */
const shownLength = 200;

/**
 * Makes the check of the `Origin` header. Requests without one do not come from a browser.
 *
 * @param written origins from the settings; `*` for any
 * @returns a function that throws RefusalError `forbidden`
 */
export function originCheck(written: readonly string[]): (request: IncomingMessage) => void {
  const allowed = allowedOrigins(written);
  if (allowed === '*') return () => {};
  return ({ headers: { origin } }) => {
    if (origin === undefined || allowed.includes(origin)) return;
    const shown = JSON.stringify(origin.slice(0, shownLength));
    throw new RefusalError('forbidden', `the origin ${shown} is not among websocket.allowed_origins`);
  };
}
