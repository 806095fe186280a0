import assert from 'node:assert/strict';
import { MicroBatcher } from '../../../server/primitives/micro-batcher.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('[HOT] MicroBatcher', () => {
  const tickMs = 4;
  let clock: FakeClock;
  let batcher: MicroBatcher;
  /** The time of each start. */
  let startedAt: number[];
  const schedule = () => batcher.schedule(() => startedAt.push(clock.now()));
  /** Plans starts at this rate for some time. */
  const load = async (perMs: number, ms: number) => {
    for (let n = 0; n < ms; n++) {
      for (let i = 0; i < perMs; i++) schedule();
      await clock.advance(1);
    }
  };
  const rounds = () => new Set(startedAt).size;

  beforeEach(() => {
    clock = new FakeClock();
    batcher = new MicroBatcher({ clock }, { lingerFromPerSec: 1000, tickMs });
    startedAt = [];
  });

  it('starts at the end of the turn under light load, in the order of the calls', async () => {
    const order: number[] = [];
    for (const n of [1, 2, 3]) batcher.schedule(() => order.push(n));
    assert.deepEqual(order, []);
    await clock.runImmediates();
    assert.deepEqual(order, [1, 2, 3]);
    assert.equal(clock.now(), 5000, 'no time has passed');
  });

  it('batches starts from the given rate on, once per tick', async () => {
    await load(2, 100);
    startedAt = [];
    await load(2, 100);
    assert.equal(startedAt.length, 200);
    assert.ok(rounds() <= 100 / tickMs + 1, `${rounds()} rounds`);
  });

  it('starts at once again after the load has fallen', async () => {
    await load(2, 200);
    await clock.advance(1000);
    schedule();
    await clock.advance(100);
    startedAt = [];
    const before = clock.now();
    schedule();
    await clock.runImmediates();
    assert.deepEqual(startedAt, [before]);
  });

  it('does not wait for work that is planned by a start', async () => {
    const order: string[] = [];
    batcher.schedule(() => {
      order.push('first');
      batcher.schedule(() => order.push('second'));
    });
    await clock.settle();
    assert.deepEqual(order, ['first', 'second']);
  });

  it('starts nothing after it was closed, and leaves no timer', async () => {
    await load(2, 100);
    schedule();
    batcher.close();
    startedAt = [];
    await clock.advance(100);
    assert.deepEqual([startedAt.length, clock.pendingTimers, clock.pendingImmediates], [0, 0, 0]);
  });
});
