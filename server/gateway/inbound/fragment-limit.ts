import { RefusalError } from '../../../shared/errors.js';

/** Fragments of one message with at most `bytes` bytes. The smallest that a known client sends have 4 KiB. */
export function fragmentLimit(bytes: number): number {
  return 32 + Math.ceil(bytes / 4096);
}

/** A message has more fragments than it may. */
export function tooManyFragments(size: number, limit: number): RefusalError {
  return new RefusalError('message_too_large', `a message may have ${limit} fragments`, { limit, size });
}
