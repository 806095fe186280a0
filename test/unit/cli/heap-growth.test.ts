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
    const [small, large] = ['--heap-growing-percent=100', '--heap-growing-percent=0'];
    assert.deepEqual(flags, [small, large, small]);
  });

  it('is an option that this V8 knows, also when it is set while the process runs', () => {
    const complaintAbout = (option: string) => {
      const program = `require('node:v8').setFlagsFromString('${option}')`;
      return spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' }).stderr;
    };
    assert.equal(complaintAbout('--heap-growing-percent=100'), '');
    assert.match(complaintAbout('--heap-growing-percents=100'), /unrecognized/);
  });
});
