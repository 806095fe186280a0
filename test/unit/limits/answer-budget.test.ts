import assert from 'node:assert/strict';
import type { RefusalError } from '../../../shared/errors.js';
import { AnswerBudget, type AnswerHold } from '../../../server/limits/answer-budget.js';
import { silentLog } from '../../../server/logging/log.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('[P7] AnswerBudget', () => {
  let clock: FakeClock;
  let budget: AnswerBudget;
  /** Grants and refusals, in order. */
  let events: string[];
  let holds: Map<string, AnswerHold>;

  beforeEach(() => {
    clock = new FakeClock();
    events = [];
    holds = new Map();
    budget = new AnswerBudget({ clock, log: silentLog }, { totalBytes: 400 });
  });

  const ask = (name: string, bytes = 100, userId = name) => {
    budget.acquire(userId, bytes).then(
      (hold) => {
        holds.set(name, hold);
        events.push(name);
      },
      (error: RefusalError) => events.push(`${name} ${error.code}`),
    );
  };
  const settle = () => clock.settle();

  it('begins one answer per turn of the event loop', async () => {
    assert.ok(budget.tryAcquire('ann', 10));
    assert.equal(budget.tryAcquire('bob', 10), undefined);
    await clock.runImmediates();
    assert.ok(budget.tryAcquire('bob', 10));
  });

  it('never reserves more than the total, and gives returned room to the next in order', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) ask(name);
    await settle();
    assert.deepEqual([events.join(' '), budget.bytes], ['a b c d', 400]);
    holds.get('b')!.release();
    await settle();
    assert.deepEqual([events.join(' '), budget.bytes], ['a b c d e', 400]);
    holds.get('a')!.written(30, () => {});
    await settle();
    assert.equal(budget.bytes, 330);
    holds.get('c')!.release();
    holds.get('c')!.release();
    await settle();
    assert.deepEqual([events.join(' '), budget.bytes], ['a b c d e f', 330]);
  });

  it('leaves three quarters to other users', async () => {
    ask('a1', 60, 'ann');
    ask('a2', 60, 'ann');
    ask('b', 60, 'bob');
    await settle();
    assert.deepEqual(events, ['a1', 'b']);
    holds.get('a1')!.release();
    await settle();
    assert.deepEqual(events, ['a1', 'b', 'a2']);
  });

  it('lets one answer through that is larger than the budget', async () => {
    ask('large', 1000);
    ask('next', 1);
    await settle();
    assert.deepEqual(events, ['large']);
    holds.get('large')!.release();
    await settle();
    assert.deepEqual([events, budget.bytes], [['large', 'next'], 1]);
  });

  it('refuses with busy what has waited for five seconds, and counts it', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) ask(name);
    await settle();
    await clock.advance(4900);
    assert.equal(events.length, 4);
    await clock.advance(400);
    assert.deepEqual([events.at(-1), budget.refused], ['e busy', 1]);
  });

  it('refuses with busy what finds ten thousand waiting', async () => {
    for (let n = 0; n < 4; n++) ask(`held ${n}`);
    await settle();
    for (let n = 0; n < 10_000; n++) void budget.acquire('ann', 100).catch(() => {});
    await assert.rejects(budget.acquire('ann', 100), { code: 'busy' });
    budget.close();
    await settle();
  });

  it('serves users in turns, however many requests of one of them wait', async () => {
    for (let n = 0; n < 50; n++) ask(`a${n}`, 1, 'ann');
    for (let n = 0; n < 3; n++) ask(`b${n}`, 1, 'bob');
    ask('c', 1, 'cleo');
    await settle();
    assert.equal(events.slice(0, 9).join(' '), 'a0 a1 b0 c a2 b1 a3 b2 a4');
    assert.equal(events.length, 54);
  });

  it('lets one request of each other user wait behind those of one who has filled the room', async () => {
    ask('reading', 400, 'ann');
    for (let n = 0; n < 10_000; n++) ask('a', 100, 'ann');
    ask('bob');
    ask('bob again', 100, 'bob');
    ask('ann again', 100, 'ann');
    await Promise.resolve();
    await clock.runImmediates();
    assert.deepEqual(events.toSorted(), ['ann again busy', 'bob again busy', 'reading']);
    holds.get('reading')!.release();
    await clock.runImmediates();
    await clock.runImmediates();
    await clock.runImmediates();
    assert.ok(events.includes('bob'));
  });

  it('gives up answers that were not read for ten seconds, the oldest first, only while others wait', async () => {
    const aborted: string[] = [];
    for (const name of ['a', 'b', 'c', 'd']) ask(name);
    await settle();
    for (const [name, hold] of holds) hold.written(100, () => aborted.push(name));
    await clock.advance(60_000);
    assert.deepEqual(aborted, []);
    ask('e');
    await settle();
    assert.equal(aborted.join(), 'a');
    assert.deepEqual([events.at(-1), budget.aborted], ['e', 1]);
    for (const hold of holds.values()) hold.release();
    assert.equal(budget.bytes, 0);
  });

  it('does not give up an answer that is still being read from the log', async () => {
    for (const name of ['a', 'b', 'c', 'd']) ask(name);
    await settle();
    await clock.advance(60_000);
    ask('e');
    await clock.advance(6000);
    assert.deepEqual([events.at(-1), budget.aborted], ['e busy', 0]);
  });
});
