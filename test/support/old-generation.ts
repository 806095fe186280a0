import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

// V8 makes in the old generation what has mostly got old before, at the same place in the code: also garbage, after tests that keep much of it.
setFlagsFromString('--no-allocation-site-pretenuring');

/** Bytes that are in use in the old generation of the heap of this process. */
export function oldBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')!.space_used_size;
}

const text = JSON.stringify({ content: new Array<number>(200).fill(0) });

/** A new object of 1.6 kB. */
export function youngObject(): object {
  return JSON.parse(text) as object;
}

/** Number of objects that {@link growthOfOld} needs: so many that each waits for longer than V8 leaves anything in the young generation. */
export const idle = 5000;

const garbageBytes = 8000;
/** Larger than the young generation, in both halves. */
const churnBytes = 64 * 2 ** 20;

/**
 * Calls `work` for one of {@link idle} objects after the other, and returns the most bytes by which the old generation grows. Between two calls each object
 * waits so long that V8 moves what it holds to the old generation.
 */
export function growthOfOld(steps: number, work: (at: number) => void): number {
  const run = (count: number, look: () => void) => {
    for (let n = 0; n < count; n++) {
      work(n % idle);
      // As in a busy process, there are many minor collections.
      makeGarbage();
      if (n % 500 === 0) look();
    }
  };
  run(idle, () => {});
  for (let bytes = 0; bytes < churnBytes; bytes += garbageBytes) makeGarbage();
  const before = oldBytes();
  let most = before;
  run(steps, () => (most = Math.max(most, oldBytes())));
  return most - before;
}

let last: unknown;

function makeGarbage(): void {
  last = new Array<number>(garbageBytes / 8).fill(0);
  void last;
}
