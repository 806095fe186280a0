import assert from 'node:assert/strict';
import type { AppendEntry, AppendReceipt, Broker } from '../../../server/log/broker.js';
import { silentLog } from '../../../server/logging/log.js';
import { ChangeCount } from '../../../server/primitives/change-count.js';
import { TopicPublisher } from '../../../server/publish/publisher.js';
import { Supervisor } from '../../../server/supervision/supervisor.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('[P7] the actors of a publisher', () => {
  let clock: FakeClock;
  let supervisor: Supervisor;
  /** Ends the append that waits. */
  let store: () => void;
  let publisher: TopicPublisher;
  let id = 0;

  beforeEach(() => {
    clock = new FakeClock();
    supervisor = new Supervisor(
      { log: silentLog, onStopped: () => {}, clock },
      { maxRestarts: 2, windowMs: 60_000, backoffMs: 100 },
    );
    const stored = (entries: readonly AppendEntry[]): AppendReceipt[] =>
      entries.map(({ id }) => ({ id, epoch: 'e', sequence: 1, duplicate: false, durability: 'memory' }));
    const broker = {
      append: (topic: string, entries: readonly AppendEntry[]) =>
        new Promise((resolve) => {
          const end = () => resolve(stored(entries));
          if (topic === 'waiting') store = end;
          else end();
        }),
    } as Broker;
    publisher = new TopicPublisher(
      { broker, supervisor, appendAt: () => 0, changes: new ChangeCount(), clock },
      {
        mailboxCapacity: 20,
        mailboxOverflow: 'reject',
        batchMax: 10,
        actorIdleMs: 60_000,
        idempotencyScope: 'sender',
      },
    );
  });
  afterEach(() => {
    publisher.close();
    supervisor.close();
  });

  const publish = (topic: string) =>
    publisher.publish({
      id: `00000000-0000-7000-8000-${String(++id).padStart(12, '0')}`,
      topic,
      payloadJson: '1',
      attachments: [],
      sender: 'ann',
    });

  it('are ten thousand at most without work, whatever topics are begun: the longest idle ones go first', async () => {
    const waiting = publish('waiting');
    await clock.settle();
    let most = 0;
    for (let n = 0; n < 25_000; n += 500) {
      clock.work(1);
      const stored = Promise.all([
        publish('busy'),
        ...Array.from({ length: 499 }, (_, k) => publish(`t${n + k}`)),
      ]);
      await clock.advance(10);
      await stored;
      most = Math.max(most, publisher.health().size);
    }
    assert.ok(most > 5000 && most <= 10_500, `${most} actors`);
    const topics = publisher.health();
    assert.equal(topics.get('waiting')?.processed, 0);
    assert.equal(topics.get('busy')?.processed, 50);
    assert.ok(topics.has('t24998') && !topics.has('t0'));
    store();
    await waiting;
  });
});
