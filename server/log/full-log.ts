import { RefusalError } from '../../shared/errors.js';

/** Suggested delay in milliseconds: a client cannot detect when there is room. */
const retryAfterMs = 5000;

/** The refusal of a log that accepts no more messages until some are removed; see `Retention.fullAt`. */
export function logIsFull(): RefusalError {
  return new RefusalError('busy', 'the inbox is full: its messages must be acknowledged first', {
    retryAfterMs,
  });
}
