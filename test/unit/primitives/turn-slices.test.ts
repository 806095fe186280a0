import assert from 'node:assert/strict';
import { TurnSlices } from '../../../server/primitives/turn-slices.js';

describe('TurnSlices', () => {
  let now: number;
  let immediates: (() => void)[];
  let done: string[];
  let slices: TurnSlices;

  beforeEach(() => {
    now = 0;
    immediates = [];
    done = [];
    const clock = { now: () => now, setImmediate: (run: () => void) => immediates.push(run) };
    slices = new TurnSlices({ clock: clock as never }, { sliceMs: 8 });
  });

  const work =
    (name: string, ms = 3) =>
    () => {
      now += ms;
      done.push(name);
    };

  /** Ends the turn, and returns what was done at its end. */
  function turn(): string[] {
    done = [];
    for (const run of immediates.splice(0)) run();
    return done;
  }

  it('runs what comes now and then at once', () => {
    for (const name of ['a', 'b', 'c']) {
      slices.run(work(name, 100));
      assert.deepEqual(done, [name]);
      assert.deepEqual(turn(), []);
    }
    assert.equal(immediates.length, 0, 'nothing is planned');
  });

  it('runs what comes in masses in slices, one a turn, in order', () => {
    const names = Array.from({ length: 8 }, (_, i) => String(i));
    for (const name of names) slices.run(work(name));
    assert.deepEqual(done, ['0', '1', '2']);
    assert.deepEqual(turn(), ['3', '4', '5']);
    slices.run(work('later'));
    assert.deepEqual(done, ['3', '4', '5'], 'behind those that wait');
    assert.deepEqual(turn(), ['6', '7', 'later']);
    assert.deepEqual(turn(), []);
    assert.equal(immediates.length, 0);
  });

  it('counts the time that anything else has taken since the first work of a turn', () => {
    slices.run(work('a', 0));
    now += 20;
    slices.run(work('b', 0));
    assert.deepEqual(done, ['a']);
    assert.deepEqual(turn(), ['b']);
  });

  it('runs at least one in each turn, however long it takes', () => {
    for (const name of ['a', 'b', 'c']) slices.run(work(name, 100));
    assert.deepEqual([turn(), turn(), turn()], [['b'], ['c'], []]);
  });

  it('keeps the order of what a work adds, and goes on after one that throws', () => {
    slices.run(work('a', 8));
    slices.run(() => {
      slices.run(work('d', 0));
      throw new Error('of a listener');
    });
    slices.run(work('c', 0));
    assert.throws(() => turn(), /of a listener/);
    assert.deepEqual(turn(), ['c', 'd']);
  });
});
