import assert from 'node:assert/strict';
import { OrderedStop, type StopStep } from '../../../server/supervision/ordered-stop.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('an ordered stop', () => {
  const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, enabled: () => false };

  const run = async (limitMs: number, steps: readonly StopStep[]) => {
    const clock = new FakeClock();
    const startedAt = clock.now();
    let endedAt: number | undefined;
    const report = new OrderedStop({ log: silent, clock }, { limitMs }).run(steps);
    void report.then(() => (endedAt = clock.now()));
    for (let ms = 0; endedAt === undefined && ms < limitMs * 2; ms++) await clock.advance(1);
    return { ...(await report), tookMs: endedAt! - startedAt, timers: clock.pendingTimers };
  };
  const never = () => new Promise<void>(() => {});

  it('runs the steps one after the other', async () => {
    const order: string[] = [];
    const step = (part: string): StopStep => ({
      part,
      limitMs: 100,
      run: async () => {
        order.push(`${part} begins`);
        await Promise.resolve();
        order.push(`${part} ends`);
      },
    });
    const { unfinished, timers } = await run(1000, [step('a'), step('b')]);
    assert.deepEqual([unfinished, timers], [[], 0]);
    assert.deepEqual(order, ['a begins', 'a ends', 'b begins', 'b ends']);
  });

  it('goes on after a step that hangs, throws or rejects, and names them', async () => {
    let last = false;
    const { unfinished } = await run(1000, [
      { part: 'hangs', limitMs: 100, run: never },
      {
        part: 'throws',
        limitMs: 100,
        run: () => {
          throw new Error('made to fail');
        },
      },
      { part: 'rejects', limitMs: 100, run: () => Promise.reject(new Error('made to fail')) },
      { part: 'last', limitMs: 100, run: () => void (last = true) },
    ]);
    assert.deepEqual([unfinished, last], [['hangs', 'throws', 'rejects'], true]);
  });

  it('gives a step its limit, and at most half of the time that is left', async () => {
    const limits: number[] = [];
    const hanging = (limitMs: number): StopStep => ({
      part: 'hangs',
      limitMs,
      run: (ms) => {
        limits.push(ms);
        return never();
      },
    });
    const { tookMs } = await run(1000, [hanging(100), hanging(800), hanging(800), hanging(10)]);
    assert.deepEqual(limits, [100, 450, 225, 10]);
    assert.equal(tookMs, 785);
  });

  it('stays within its limit, however many steps hang', async () => {
    const { tookMs, unfinished } = await run(
      1000,
      Array.from({ length: 13 }, (_, n) => ({ part: `${n}`, limitMs: 5000, run: never })),
    );
    assert.equal(unfinished.length, 13);
    assert.ok(tookMs <= 1010, `${tookMs} ms`);
  });
});
