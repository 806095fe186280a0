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

  it('counts what is held beside a body until it ends, and refuses one more above a share', () => {
    budget = new BodyBudget({ counts, clock }, { limitBytes: 400_000 });
    const held = Array.from({ length: 101 }, () => budget.open('ann', 1000));
    assert.throws(() => budget.open('ann', 1000), { code: 'at_capacity' });
    assert.throws(() => held[0]!.add(1), { code: 'at_capacity' });
    budget.open('bob', 1000).release();
    held[0]!.release();
    held[1]!.discard();
    assert.equal(budget.heldBytes, 99_000);
    budget.open('ann', 1000);
  });

  it('leaves room for 64 bodies of a caller, however much is held beside them', () => {
    for (let n = 0; n < 65; n++) budget.open('ann', 16_384);
    assert.throws(() => budget.open('ann', 16_384), refusal);
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
