import { randomFillSync, randomInt } from 'node:crypto';
import { v7 as uuidV7 } from 'uuid';

const startsBelow = 2 ** 30;
const idBytes = 16;
/** Random bytes are drawn for this many ids at once: a draw costs as much as many ids, whatever its size. */
const idsPerDraw = 512;

/** Makes the ids of messages (UUIDv7), in ascending order while the clock does not go back. */
export function newMessageIds(now: () => number): () => string {
  let lastAt = 0;
  let seq = 0;
  const drawn = new Uint8Array(idsPerDraw * idBytes);
  let used = drawn.length;
  const rng = () => {
    if (used === drawn.length) {
      randomFillSync(drawn);
      used = 0;
    }
    return drawn.subarray(used, (used += idBytes));
  };
  return () => {
    const msecs = Math.round(now());
    seq = msecs === lastAt ? seq + 1 : randomInt(startsBelow);
    lastAt = msecs;
    return uuidV7({ msecs, seq, rng });
  };
}
