import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { HeapGrowth } from '../../../server/cli/heap-growth.js';
import { FakeClock } from '../../support/fake-clock.js';
import { root } from '../../support/root.js';

const mib = 2 ** 20;

describe('[CLI] the growth of the heap', function () {
  it('is in small steps while the heap is small, and left to V8 while it is large', () => {
    const flags: string[] = [];
    let usedBytes = 40 * mib;
    const clock = new FakeClock();
    const growth = new HeapGrowth({ clock, usedBytes: () => usedBytes, setFlags: (set) => flags.push(set) });
    for (const size of [300, 380, 390, 300, 260, 390, 250, 250]) {
      usedBytes = size * mib;
      growth.check();
    }
    const [small, large] = ['--heap-growing-percent=25', '--heap-growing-percent=0'];
    assert.deepEqual(flags, [small, large, small]);
  });

  it('is in larger steps for a quarter of a second after each collection, so that collections do not follow each other closely', async () => {
    const flags: string[] = [];
    const clock = new FakeClock();
    const growth = new HeapGrowth({ clock, usedBytes: () => mib, setFlags: (set) => flags.push(set) });
    growth.collected();
    await clock.advance(200);
    growth.collected();
    await clock.advance(200);
    const [small, large] = ['--heap-growing-percent=25', '--heap-growing-percent=100'];
    assert.deepEqual(flags, [small, large]);
    await clock.advance(50);
    assert.deepEqual(flags, [small, large, small]);
  });

  it('follows the collections of V8', () => {
    // The process of the service begins so. Its V8 is told what the flags are.
    const program = `
      const v8 = require('node:v8');
      const set = [];
      v8.setFlagsFromString = (flag) => set.push(flag);
      require('./server/cli/heap-growth.ts').limitHeapGrowth([]);
      const kept = [];
      for (let n = 0; n < 40; n++) kept.push(new Array(1e6).fill(n));
      setTimeout(() => console.log(set.join(' ')), 50);`;
    const { stdout } = spawnSync(process.execPath, ['--require', 'tsx/cjs', '-e', program], {
      cwd: root,
      encoding: 'utf8',
    });
    assert.equal(stdout, '--heap-growing-percent=25 --heap-growing-percent=100\n');
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
