import assert from 'node:assert/strict';
import { toWireError } from '../../../shared/errors.js';
import type { Answer } from '../../../server/commands/router.js';
import { SendBufferBudget } from '../../../server/fanout/outbox.js';
import { BoundedAnswers } from '../../../server/gateway/bounded-answers.js';
import type { ClientConnection } from '../../../server/gateway/client-connection.js';
import { AnswerBudget } from '../../../server/limits/answer-budget.js';
import { silentLog } from '../../../server/logging/log.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeSubscriber } from '../../support/fake-subscriber.js';

describe('[P7] BoundedAnswers', () => {
  let clock: FakeClock;
  let budget: AnswerBudget;
  let answers: BoundedAnswers;
  let outboxes: SendBufferBudget;
  let ran: number;

  beforeEach(() => {
    clock = new FakeClock();
    ran = 0;
    budget = new AnswerBudget({ clock, log: silentLog }, { totalBytes: 4000 });
    outboxes = new SendBufferBudget(
      { clock },
      { limitMessages: 10, limitBytes: 100_000, totalBytes: 1_000_000 },
    );
    answers = new BoundedAnswers(
      {
        // As a listener does, it writes the answer when it has it.
        run: async (connection, _command, _request, within = (run) => run()) => {
          try {
            return await within(async () => {
              ran++;
              await Promise.resolve();
              (connection as unknown as FakeSubscriber).emit('answer', 'x'.repeat(600));
              return { ok: true };
            });
          } catch (error) {
            return { ok: false, error: toWireError(error) };
          }
        },
        isExpensive: (command) => command === 'history',
        budget,
        clock,
      },
      { answerBytes: 1000 },
    );
  });
  afterEach(() => outboxes.close());

  const subscriber = (id: string) => {
    const one = new FakeSubscriber({ clock, budget: outboxes }, id);
    (one.identity as { userId: string }).userId = id;
    return one;
  };
  const ask = (one: FakeSubscriber, command = 'history'): Promise<Answer> =>
    answers.run(one as unknown as ClientConnection, command, {});

  it('returns the room of an answer that the client reads at once', async () => {
    const answer = ask(subscriber('ann'));
    assert.equal(budget.bytes, 1000);
    assert.deepEqual(await answer, { ok: true });
    await clock.advance(100);
    assert.equal(budget.bytes, 0);
  });

  it('counts the bytes of an unread answer until the client reads, or leaves', async () => {
    const [ann, bob] = [subscriber('ann'), subscriber('bob')];
    for (const one of [ann, bob]) {
      one.transport.reading = false;
      void ask(one);
    }
    await clock.advance(60_000);
    assert.ok(budget.bytes > 1200 && budget.bytes < 1400, String(budget.bytes));
    ann.transport.resume();
    await clock.advance(100);
    assert.ok(budget.bytes > 600 && budget.bytes < 700, String(budget.bytes));
    bob.outbox.close();
    assert.equal(budget.bytes, 0);
  });

  it('lets a command wait for room, and does not run it if its client has left meanwhile', async () => {
    const ann = subscriber('ann');
    ann.transport.reading = false;
    void ask(ann);
    await clock.settle();
    const second = ask(ann);
    const third = ask(ann);
    await clock.settle();
    assert.equal(ran, 1);
    ann.outbox.close();
    await clock.settle();
    assert.deepEqual(
      [await second, await third].map(({ ok }) => ok),
      [false, false],
    );
    assert.deepEqual([ran, budget.bytes], [1, 0]);
  });

  it('answers busy when there is no room for five seconds', async () => {
    const ann = subscriber('ann');
    ann.transport.reading = false;
    void ask(ann);
    await clock.settle();
    const late = ask(ann);
    await clock.advance(5300);
    const answer = await late;
    assert.ok(!answer.ok && answer.error.code === 'busy' && answer.error.retry_after_ms === 1000);
  });

  it('does not delay other commands', async () => {
    const ann = subscriber('ann');
    ann.transport.reading = false;
    void ask(ann);
    await clock.settle();
    await ask(ann, 'ping');
    assert.equal(ran, 2);
  });
});
