import { RefusalError } from '../../../shared/errors.js';

/** The error for a command that was not sent. */
export function unavailable(cause?: unknown): RefusalError {
  const reason = cause instanceof Error ? `: ${cause.message}` : '';
  return new RefusalError('unavailable', `Redis is unreachable${reason}`, { retryAfterMs: 1000 });
}

/** The error for a command that Redis has refused: nothing was changed. */
export function refused({ message }: Error): RefusalError {
  const at = message.indexOf(' script: ');
  const reason = at < 0 ? message : message.slice(0, at);
  return new RefusalError('unavailable', `Redis has refused it: ${reason}`, { retryAfterMs: 1000 });
}

/** The error for a change that was sent and not answered. Redis runs every command that has reached it, even after a stall. */
export function outcomeUnknown(cause: Error): RefusalError {
  return new RefusalError(
    'outcome_unknown',
    `Redis did not answer (${cause.message}): the change may have been made, or may still be made. Check, or repeat it`,
    { retryAfterMs: 1000 },
  );
}
