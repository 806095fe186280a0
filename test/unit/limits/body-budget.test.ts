import assert from 'node:assert/strict';
import { BodyBudget } from '../../../server/limits/body-budget.js';
import { newLimitCounts } from '../../../server/limits/limit-counts.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('[L6] the budget of unfinished bodies', () => {
  const counts = newLimitCounts();
  let budget: BodyBudget;
  let clock: FakeClock;
  beforeEach(() => {
    clock = new FakeClock();
    counts.bodies = 0;
    budget = new BodyBudget({ counts, clock }, { limitBytes: 40_000 });
  });
  const refusal = { code: 'at_capacity', details: { retryAfterMs: 1000, limit: 10_000 } };

  it('is a quarter for one caller, over all bodies', () => {
    const [first, second] = [budget.open('ann'), budget.open('ann')];
    first.add(5000);
    assert.throws(() => second.add(5000), refusal);
    assert.equal(counts.bodies, 1);
    budget.open('bob').add(5000);
  });

  it('is bounded for all callers together', () => {
    for (let n = 0; n < 4; n++) budget.open(`user ${n}`).add(9000);
    assert.throws(() => budget.open('ann').add(9000), {
      ...refusal,
      details: { retryAfterMs: 1000, limit: 40_000 },
    });
  });

  it('is used by pieces, however small they are', () => {
    const held = budget.open('ann');
    let pieces = 0;
    assert.throws(() => {
      for (; pieces < 1000; pieces++) held.add(1);
    }, refusal);
    assert.equal(pieces, 19);
  });

  it('is free again when a body is complete, or its request has ended', () => {
    const held = budget.open('ann');
    held.add(9000);
    held.release();
    held.release();
    held.add(9000);
    assert.equal(budget.heldBytes, 0);
    budget.open('ann').add(9000);
  });

  it('counts what a caller has thrown away for five seconds, for this caller only', async () => {
    const held = budget.open('ann');
    held.add(9000);
    held.discard();
    held.release();
    assert.equal(budget.heldBytes, 0);
    budget.open('bob').add(9000);
    await clock.advance(4999);
    assert.throws(() => budget.open('ann').add(2000), refusal);
    await clock.advance(1);
    budget.open('ann').add(2000);
    assert.equal(clock.pendingTimers, 0);
  });

  it('does not count little that was thrown away', () => {
    for (let n = 0; n < 100; n++) {
      const held = budget.open('ann');
      held.add(2000);
      held.discard();
    }
  });
});
