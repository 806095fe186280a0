import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { HeapGrowth } from '../../../server/cli/heap-growth.js';

const mib = 2 ** 20;

describe('[CLI] the growth of the heap', function () {
  it('is in small steps while the heap is small, and left to V8 while it is large', () => {
    const flags: string[] = [];
    let usedBytes = 40 * mib;
    const growth = new HeapGrowth({ usedBytes: () => usedBytes, setFlags: (set) => flags.push(set) });
    for (const size of [300, 380, 390, 300, 260, 390, 250, 250]) {
      usedBytes = size * mib;
      growth.check();
    }
    const [small, large] = ['--heap-growing-percent=50', '--heap-growing-percent=0'];
    assert.deepEqual(flags, [small, large, small]);
  });

  it('follows the option of V8, also when it is set while the process runs', () => {
    // Objects that live long enough to leave the young generation, and then are garbage.
    const program = `
      const v8 = require('node:v8');
      v8.setFlagsFromString('--heap-growing-percent=' + process.argv[1]);
      const ring = new Array(400_000);
      let largest = 0;
      for (let n = 0; n < 12_000_000; n++) {
        ring[n % ring.length] = { n, text: [n] };
        if (n % 100_000 === 0) largest = Math.max(largest, v8.getHeapStatistics().total_heap_size);
      }
      console.log(Math.round(largest / 2 ** 20));`;
    const largestOf = (percent: number) => {
      const { stdout, stderr } = spawnSync(
        process.execPath,
        ['--max-semi-space-size=4', '-e', program, String(percent)],
        { encoding: 'utf8' },
      );
      assert.equal(stderr, '');
      return Number(stdout);
    };
    const [small, large] = [largestOf(50), largestOf(300)];
    assert.ok(small > 0 && small * 1.2 < large, `${small} MiB and ${large} MiB`);
  });
});
