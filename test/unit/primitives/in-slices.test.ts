import assert from 'node:assert/strict';
import { inSlices } from '../../../server/primitives/in-slices.js';

describe('[PRIMITIVES] a walk in slices', () => {
  it('visits all items in their order, and lets other work run meanwhile', async () => {
    let turns = 0;
    const other = setInterval(() => turns++, 1);
    const seen: number[] = [];
    const numbers = Array.from({ length: 5000 }, (_, n) => n);
    try {
      // Each slice ends at the first look at the clock.
      await inSlices(
        numbers,
        (n) => {
          seen.push(n);
          if (n % 250 === 0) for (const end = performance.now() + 2; performance.now() < end;);
        },
        0,
      );
    } finally {
      clearInterval(other);
    }
    assert.deepEqual(seen, numbers);
    assert.ok(turns > 5, `${turns} turns of other work`);
  });

  it('goes on where a map has changed meanwhile', async () => {
    const map = new Map(Array.from({ length: 2000 }, (_, n) => [n, n]));
    let count = 0;
    const walk = inSlices(map.values(), () => count++, 0);
    for (let n = 1000; n < 2000; n++) map.delete(n);
    await walk;
    assert.ok(count >= 1000 && count < 2000, `${count} were visited`);
  });
});
