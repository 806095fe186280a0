import { randomInt } from 'node:crypto';
import { v7 as uuidV7 } from 'uuid';

const startsBelow = 2 ** 30;

/** Makes the ids of messages (UUIDv7), in ascending order while the clock does not go back. */
export function newMessageIds(now: () => number): () => string {
  let lastAt = 0;
  let seq = 0;
  return () => {
    const msecs = Math.round(now());
    seq = msecs === lastAt ? seq + 1 : randomInt(startsBelow);
    lastAt = msecs;
    return uuidV7({ msecs, seq });
  };
}
