import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { SendBufferBudget } from '../../../server/fanout/outbox.js';
import { encodeEntry } from '../../../server/log/entry.js';
import { silentLog } from '../../../server/logging/log.js';
import { MemoryBroker } from '../../../server/storage/memory/memory-broker.js';
import { Supervisor } from '../../../server/supervision/supervisor.js';
import type { ProvedPosition } from '../../../server/topics/start-position.js';
import { TopicHub } from '../../../server/topics/topic-hub.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeSubscriber } from '../../support/fake-subscriber.js';

const retention = { historySize: 1000, historyTtlMs: 60_000, idempotencyMs: 60_000, fullAt: 0 };

describe('a topic hub', () => {
  let clock: FakeClock;
  let broker: MemoryBroker;
  let supervisor: Supervisor;
  let budget: SendBufferBudget;
  let hub: TopicHub;
  let ann: FakeSubscriber;
  let members: Set<string>;

  beforeEach(() => {
    clock = new FakeClock();
    broker = new MemoryBroker({ retentionOf: () => retention, now: Date.now });
    supervisor = new Supervisor(
      { log: silentLog, onStopped: () => {}, clock },
      { maxRestarts: 3, windowMs: 1000, backoffMs: 10 },
    );
    budget = new SendBufferBudget({ clock }, { limitMessages: 100, limitBytes: 1_000_000, totalBytes: 1e7 });
    ann = new FakeSubscriber({ clock, budget }, 'ann');
    members = new Set();
    hub = new TopicHub(
      {
        broker,
        audience: {
          members: () => (members.size === 0 ? undefined : members),
          topicsOf: () => ['t'],
          connection: (id) => (id === ann.id ? ann : undefined),
          join: (id) => void members.add(id),
          leave: (id) => void members.delete(id),
        },
        acks: { expectAcks() {}, nextAckId: () => 1 },
        supervisor,
        onDelivered: () => {},
        changes: { value: 0 },
        tracer: { queued() {}, delivered() {}, lost() {}, caughtUp() {} },
        log: silentLog,
        clock,
        utilization: () => 0,
      },
      {
        mailboxCapacity: 100,
        mailboxOverflow: 'reject',
        batchMax: 10,
        actorIdleMs: 60_000,
        idempotencyScope: 'sender',
        windowOf: () => ({ windowMs: 5, maxWindowMs: 100 }),
        positionCheckMs: 60_000,
        outboxOverflow: 'catch_up',
        blockCacheBytes: 1_000_000,
      },
    );
  });
  afterEach(async () => {
    await hub.close();
    await broker.close();
    supervisor.close();
    budget.close();
  });

  const append = async (sequence: number) => {
    const id = `01890000-0000-7000-8000-00000000000${sequence}`;
    const message = { id, topic: 't', payloadJson: `"e:${sequence} "`, attachments: [], sender: null };
    const [receipt] = await broker.append('t', [
      { id, entry: encodeEntry({ ...message, timestamp: 1_760_000_000_000 }) },
    ]);
    // Until the batch has reached the hub.
    await turn();
    return receipt!.epoch;
  };
  const subscribe = (since: ProvedPosition) => hub.subscribe(ann, 't', since, () => true);

  it('does not send a client that is catching up what it has from elsewhere, though it is still pending here', async () => {
    let epoch = '';
    for (let n = 1; n <= 3; n++) epoch = await append(n);
    const first = await subscribe({ epoch, sequence: 0 });
    assert.deepEqual([first.sequence, first.missed], [3, 3]);
    await append(4);
    await append(5);
    const again = await subscribe({ epoch, sequence: 5 });
    assert.deepEqual([again.sequence, again.recovered, again.missed], [5, true, 0]);
    await clock.advance(1000);
    assert.deepEqual(
      ann.transport.received.filter((text) => text.includes('"message"')),
      [],
    );
  });

  it('neither activates a topic nor follows its log while the log is unreachable', async () => {
    let followed = 0;
    const { follow } = broker;
    broker.follow = (topic) => {
      followed++;
      return follow.call(broker, topic);
    };
    Object.defineProperty(broker, 'state', { value: 'down', configurable: true });
    const { unfollow } = broker;
    broker.unfollow = () => assert.fail('nothing is to be ended');
    const activated: string[] = [];
    for (let n = 0; n < 3; n++) {
      const subscribed = subscribe({ epoch: '', sequence: 0 });
      activated.push(...Array.from(hub.activeTopics(), ({ name }) => name));
      await assert.rejects(subscribed, { code: 'unavailable' });
    }
    await assert.rejects(
      hub.watch('t', () => {}),
      { code: 'unavailable' },
    );
    assert.deepEqual([followed, activated], [0, []]);
    broker.unfollow = unfollow;
    // A room of a program keeps its topic until the log is reachable.
    members.add('ann');
    hub.onRoomCreated('t');
    assert.deepEqual([followed, hub.isFollowed('t')], [0, true]);
    Object.defineProperty(broker, 'state', { value: 'up', configurable: true });
    hub.onResync();
    assert.equal(followed, 1);
    await turn();
  });

  it('says that a client is not recovered that goes on before what the log has lost, and may have received it', async () => {
    let epoch = '';
    for (let n = 1; n <= 3; n++) epoch = await append(n);
    const since = { epoch, sequence: 1 };
    const lost = await subscribe({ ...since, reached: { epoch, sequence: 9 } });
    assert.deepEqual([lost.recovered, lost.sequence], [false, 3]);
    members.clear();
    const kept = await subscribe({ ...since, reached: { epoch, sequence: 3 } });
    assert.deepEqual([kept.recovered, kept.missed], [true, 2]);
    members.clear();
    // Also if nothing was appended since.
    const end = await subscribe({ epoch, sequence: 3, reached: { epoch, sequence: 4 } });
    assert.equal(end.recovered, false);
  });

  it('reads no log for a connection that subscribes again from a position after which it has or gets everything', async () => {
    let epoch = '';
    for (let n = 1; n <= 3; n++) epoch = await append(n);
    let reads = 0;
    const { read } = broker;
    broker.read = (...args) => {
      reads++;
      return read.apply(broker, args);
    };
    await subscribe({ epoch, sequence: 1 });
    assert.equal(reads, 1);
    for (let n = 0; n < 100; n++) {
      const again = await subscribe({ epoch, sequence: 1 });
      assert.deepEqual(again, { topic: 't', epoch, sequence: 3, recovered: true, missed: 2 });
    }
    assert.equal(reads, 1);
    // What it does not get yet, and what only the log knows, is looked up.
    assert.equal((await subscribe({ epoch: 'another', sequence: 1 })).recovered, false);
    assert.equal((await subscribe({ epoch, sequence: 1, reached: { epoch, sequence: 2 } })).recovered, true);
    assert.deepEqual((await subscribe({ epoch, sequence: 0 })).missed, 3);
    assert.equal(reads, 4);
  });
});
