import { RefusalError } from '../../shared/errors.js';
import type { AppendReceipt, InboxShares } from './broker.js';

/** Suggested delay in milliseconds: a client cannot detect when there is room. */
const retryAfterMs = 5000;

/** The refusal of a message whose sender has used up the share in a log; see `Retention.shares`. */
export function shareIsUsedUp({ senderMessages, senderBytes, onRefused }: InboxShares): RefusalError {
  onRefused?.();
  return new RefusalError(
    'quota_exceeded',
    `the inbox has no more room for this sender: at most ${senderMessages} messages and ${senderBytes} bytes of one sender wait in it`,
    { retryAfterMs, limit: senderMessages },
  );
}

/** The receipt of a message that was refused by itself, while others of its batch may be stored. */
export function refusedReceipt(id: string, refusal: RefusalError): AppendReceipt {
  return { id, epoch: '', sequence: 0, duplicate: false, durability: 'memory', refusal };
}

/** The refusal of a log that accepts no more messages until some are removed; see `Retention.fullAt`. */
export function logIsFull(): RefusalError {
  return new RefusalError('busy', 'the inbox is full: its messages must be acknowledged first', {
    retryAfterMs,
  });
}
