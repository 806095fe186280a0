import { RefusalError } from '../../shared/errors.js';

/** Clients come back to another replica after this, in milliseconds. */
const retryAfterMs = 1000;

/** The refusal of what comes after the replica has begun to stop. */
export function shuttingDown(): RefusalError {
  return new RefusalError('shutting_down', 'the replica is shutting down', { retryAfterMs });
}
