import assert from 'node:assert/strict';
import { RefusalError } from '../../../shared/errors.js';
import { Supervisor } from '../../../server/supervision/supervisor.js';
import { silentLog } from '../../../server/logging/log.js';
import type { AppendEntry, Broker } from '../../../server/log/broker.js';
import { TopicActor } from '../../../server/publish/topic-actor.js';

describe('[P1] [P7] the actor of a topic that gathers', () => {
  const entryOf = (n: number): AppendEntry => ({ id: String(n), entry: Buffer.from(String(n)) });
  const supervisor = new Supervisor(
    { log: silentLog, onStopped: () => {}, now: Date.now },
    { maxRestarts: 5, windowMs: 60_000, backoffMs: 1 },
  );
  after(() => supervisor.close());

  const actorWith = (lingerMs: number, batches: number[]) => {
    const append: Broker['append'] = (_topic, entries) => {
      batches.push(entries.length);
      return Promise.resolve(
        entries.map(({ id }, i) => ({
          id,
          epoch: 'e',
          sequence: i + 1,
          duplicate: false,
          durability: 'stored' as const,
        })),
      );
    };
    return new TopicActor(
      {
        broker: { append } as Broker,
        supervisor,
        lingerMs: () => lingerMs,
        schedule: (start) => setImmediate(start),
      },
      't',
      { mailboxCapacity: 20, overflowStrategy: 'reject', batchMax: 10 },
    );
  };

  it('appends what has gathered together, and tells when', async () => {
    const batches: number[] = [];
    const actor = actorWith(30, batches);
    // The first is not kept waiting.
    await actor.append(entryOf(0));
    await new Promise((resolve) => setImmediate(resolve));
    const waiting = [1, 2, 3].map((n) => actor.append(entryOf(n)));
    const dueAt = actor.appendAt - performance.now();
    assert.ok(dueAt > 5 && dueAt <= 30, `due in ${dueAt} ms`);
    await Promise.all(waiting);
    assert.deepEqual(batches, [1, 3]);
    assert.equal(actor.appendAt, 0);
  });

  it('does not gather past a full batch: its mailbox would overflow for nothing', async () => {
    const batches: number[] = [];
    const actor = actorWith(60_000, batches);
    await actor.append(entryOf(0));
    const first = Array.from({ length: 10 }, (_, n) => actor.append(entryOf(n)));
    await Promise.all(first);
    assert.deepEqual(batches, [1, 10]);
    const many = await Promise.allSettled(Array.from({ length: 21 }, (_, n) => actor.append(entryOf(n))));
    const refused = many
      .filter((one) => one.status === 'rejected')
      .map(({ reason }) => reason as RefusalError);
    assert.deepEqual(
      refused.map(({ code }) => code),
      ['busy'],
    );
    assert.deepEqual(batches, [1, 10, 10, 10]);
  });
});
