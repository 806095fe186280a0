import assert from 'node:assert/strict';
import { RefusalError } from '../../../shared/errors.js';
import { Supervisor } from '../../../server/supervision/supervisor.js';
import { silentLog } from '../../../server/logging/log.js';
import { actorIdOf, TopicActor } from '../../../server/publish/topic-actor.js';
import type { MailboxOverflow } from '../../../server/primitives/mailbox.js';
import { ChangeCount } from '../../../server/primitives/change-count.js';
import { FakeClock } from '../../support/fake-clock.js';
import { HeldAppends, newEntry } from '../../support/held-appends.js';

const codesOf = (results: readonly PromiseSettledResult<unknown>[]) =>
  results.filter((result) => result.status === 'rejected').map(({ reason }) => (reason as RefusalError).code);

describe('[P1] [P7] the actor of a topic', () => {
  let clock: FakeClock;
  let supervisor: Supervisor;
  let appends: HeldAppends;
  let changes: ChangeCount;

  beforeEach(() => {
    clock = new FakeClock();
    supervisor = new Supervisor(
      { log: silentLog, onStopped: () => {}, clock },
      { maxRestarts: 2, windowMs: 60_000, backoffMs: 100 },
    );
    appends = new HeldAppends();
    changes = new ChangeCount();
  });
  afterEach(() => supervisor.close());

  /** Appends at least this many milliseconds apart. */
  const actorWith = (lingerMs = 0, overflowStrategy: MailboxOverflow = 'reject') => {
    let startedAt = -Infinity;
    return new TopicActor(
      {
        broker: appends.broker,
        supervisor,
        appendAt: () => startedAt + lingerMs,
        schedule: (start) => {
          clock.setImmediate(() => {
            startedAt = clock.now();
            start();
          });
        },
        changes,
        clock,
      },
      't',
      { mailboxCapacity: 20, overflowStrategy, batchMax: 10 },
    );
  };
  const sizes = () => appends.batches.map(({ length }) => length);
  const appendMany = (actor: TopicActor, count: number) =>
    Array.from({ length: count }, () => actor.append(newEntry()));

  it('appends waiting publishes together, and returns when', async () => {
    appends.answersAtOnce = true;
    const actor = actorWith(30);
    // The first one does not wait.
    const first = actor.append(newEntry());
    await clock.settle();
    await first;
    await clock.advance(1);
    const waiting = appendMany(actor, 3);
    assert.equal(actor.appendAt, clock.now() + 29);
    await clock.advance(28);
    assert.deepEqual(sizes(), [1]);
    await clock.advance(1);
    await Promise.all(waiting);
    assert.deepEqual(sizes(), [1, 3]);
    assert.equal(actor.appendAt, 0);
  });

  it('does not linger with a full batch, because its mailbox would overflow', async () => {
    appends.answersAtOnce = true;
    const actor = actorWith(60_000);
    void actor.append(newEntry());
    await clock.settle();
    const first = Promise.all(appendMany(actor, 10));
    await clock.settle();
    await first;
    assert.deepEqual(sizes(), [1, 10]);
    const many = Promise.allSettled(appendMany(actor, 21));
    await clock.settle();
    assert.deepEqual(codesOf(await many), ['busy']);
    assert.deepEqual(sizes(), [1, 10, 10, 10]);
  });

  it('has one append in progress, and collects the next batch meanwhile', async () => {
    const actor = actorWith();
    const results = appendMany(actor, 2);
    await clock.settle();
    results.push(...appendMany(actor, 3));
    await clock.settle();
    assert.deepEqual(sizes(), [2]);
    appends.succeed();
    await clock.settle();
    assert.deepEqual(sizes(), [2, 3]);
    appends.succeed();
    await clock.settle();
    const receipts = await Promise.all(results);
    assert.deepEqual(
      receipts.map(({ sequence }) => sequence),
      [1, 2, 3, 4, 5],
    );
    assert.ok(actor.idle);
  });

  it('splits a batch that is large in bytes, but not a single large message', async () => {
    appends.answersAtOnce = true;
    const actor = actorWith();
    const bytes = [600_000, 600_000, 300_000, 2_000_000, 10];
    const results = Promise.all(bytes.map((length) => actor.append(newEntry(length))));
    await clock.settle();
    await results;
    assert.deepEqual(sizes(), [1, 2, 1, 1]);
  });

  it('refuses the newest or the oldest when its mailbox is full, and returns when to retry', async () => {
    for (const [strategy, refusedAt] of [
      ['reject', 20],
      ['drop_oldest', 0],
    ] as const) {
      appends = new HeldAppends();
      const actor = actorWith(0, strategy);
      const settled: unknown[] = [];
      for (const [n, result] of appendMany(actor, 21).entries())
        result.catch((error: unknown) => settled.push([n, (error as RefusalError).toWire()]));
      await clock.runImmediates();
      const [[n, error]] = settled as [[number, { code: string; retry_after_ms: number }]];
      assert.deepEqual([settled.length, n, error.code], [1, refusedAt, 'busy']);
      assert.ok(error.retry_after_ms >= 20);
    }
  });

  it('holds waiting publishes until its restart, and appends them then', async () => {
    const actor = actorWith();
    const failed = assert.rejects(actor.append(newEntry()), /bug/);
    await clock.settle();
    appends.fail(new Error('bug'));
    await failed;
    assert.equal(actor.health.state, 'restarting');
    const waiting = actor.append(newEntry());
    await clock.advance(99);
    assert.equal(appends.inFlight, false);
    await clock.advance(1);
    assert.ok(appends.inFlight);
    appends.succeed();
    assert.equal((await waiting).sequence, 1);
    assert.deepEqual([actor.health.state, actor.health.restartCount], ['running', 1]);
    assert.equal(actor.health.errorRate, 0.5);
  });

  it('refuses everything after it was stopped, until an operator restarts it', async () => {
    const actor = actorWith();
    for (let n = 0; n < 3; n++) {
      const results = Promise.allSettled(appendMany(actor, 11));
      await clock.settle();
      appends.fail(new Error('bug'));
      await clock.settle();
      if (n < 2) {
        await clock.advance(1000);
        appends.succeed();
        await clock.settle();
      } else assert.equal(actor.health.state, 'stopped');
      const rejected = (await results).filter(({ status }) => status === 'rejected');
      assert.equal(rejected.length, n < 2 ? 10 : 11, 'the eleventh waits');
    }
    await assert.rejects(actor.append(newEntry()), { code: 'unavailable' });
    supervisor.restart(actorIdOf('t'));
    const again = actor.append(newEntry());
    await clock.settle();
    appends.succeed();
    await again;
  });

  it('does not count an unreachable log as its own failure', async () => {
    const actor = actorWith();
    const refused = assert.rejects(actor.append(newEntry()), { code: 'unavailable' });
    await clock.settle();
    appends.fail(new RefusalError('unavailable', 'no log'));
    await refused;
    assert.deepEqual([actor.health.state, actor.health.failed], ['running', 1]);
    assert.equal(supervisor.find(actorIdOf('t')), undefined);
  });

  it('keeps the order if some entries take longer to prepare, and answers failed ones', async () => {
    appends.answersAtOnce = true;
    const actor = actorWith();
    const entries = [newEntry(), newEntry(), newEntry(), newEntry()];
    const results = Promise.allSettled([
      actor.append(async () => {
        await clock.sleep(50);
        return entries[0]!;
      }),
      actor.append(async () => entries[1]!),
      actor.append(() => Promise.reject(new RefusalError('forbidden', 'not this one'))),
      actor.append(() => Promise.reject(new Error('the hook has a bug'))),
    ]);
    await clock.advance(60);
    assert.deepEqual(codesOf(await results), ['forbidden', 'internal']);
    assert.deepEqual(appends.batches, [[entries[0], entries[1]]]);
    assert.equal(actor.health.state, 'restarting');
  });

  describe('when something has changed since a message was accepted', () => {
    const frozen = new RefusalError('topic_frozen', 'frozen');
    const refusing = (checked: string[], name: string, refuses = true) => ({
      recheck: () => {
        checked.push(name);
        if (refuses) throw frozen;
      },
    });

    it('checks it again in the turn in which the log gets it, and refuses only that one', async () => {
      const actor = actorWith();
      const checked: string[] = [];
      const first = actor.append(newEntry(), refusing(checked, 'in progress'));
      await clock.settle();
      const waiting = [
        actor.append(newEntry(), refusing(checked, 'refused')),
        actor.append(newEntry(), refusing(checked, 'allowed', false)),
      ];
      changes.increment();
      waiting.push(actor.append(newEntry(), refusing(checked, 'accepted later')));
      const outcomes = Promise.allSettled(waiting);
      appends.succeed();
      await first;
      await clock.settle();
      appends.succeed();
      assert.deepEqual(codesOf(await outcomes), ['topic_frozen']);
      assert.deepEqual(sizes(), [1, 2]);
      assert.deepEqual(checked, ['refused', 'allowed']);
    });

    it('checks it after its hook, after a restart, and between the parts of a large batch', async () => {
      appends.answersAtOnce = true;
      const actor = actorWith();
      const checked: string[] = [];
      const failed = assert.rejects(actor.append(() => Promise.reject(new Error('a bug'))));
      await clock.settle();
      await failed;
      const late = assert.rejects(
        actor.append(() => Promise.resolve(newEntry()), refusing(checked, 'restart')),
        frozen,
      );
      changes.increment();
      await clock.advance(1000);
      await late;
      assert.deepEqual(sizes(), []);

      appends.answersAtOnce = false;
      const parts = [1, 2].map((part) => actor.append(newEntry(700_000), refusing(checked, `part ${part}`)));
      await clock.settle();
      changes.increment();
      const outcomes = Promise.allSettled(parts);
      appends.succeed();
      assert.deepEqual(codesOf(await outcomes), ['topic_frozen']);
      assert.deepEqual(sizes(), [1]);
      assert.deepEqual(checked, ['restart', 'part 2']);
    });

    it('checks nothing while nothing changes', async () => {
      appends.answersAtOnce = true;
      const checked: string[] = [];
      const stored = actorWith().append(newEntry(), refusing(checked, 'it'));
      await clock.settle();
      await stored;
      assert.deepEqual(checked, []);
    });
  });
});
