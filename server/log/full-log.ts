import { RefusalError } from '../../shared/errors.js';

/** Those who wait for room cannot know when there is some. */
const retryAfterMs = 5000;

/** The refusal of a log that takes no more until something is removed from it; see `Retention.fullAt`. */
export function logIsFull(): RefusalError {
  return new RefusalError('busy', 'the inbox is full: its messages have to be acknowledged first', {
    retryAfterMs,
  });
}
