import assert from 'node:assert/strict';
import type { Position } from '../../../shared/position.js';
import { SendBufferBudget } from '../../../server/fanout/outbox.js';
import type { Audience } from '../../../server/fanout/subscriber.js';
import type { Broker } from '../../../server/log/broker.js';
import { encodeEntry } from '../../../server/log/entry.js';
import { silentLog } from '../../../server/logging/log.js';
import type { Supervisor } from '../../../server/supervision/supervisor.js';
import { TopicHub } from '../../../server/topics/topic-hub.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeSubscriber } from '../../support/fake-subscriber.js';
import { ScriptedLog } from '../../support/scripted-log.js';

const settings = {
  windowOf: () => ({ windowMs: 5, maxWindowMs: 100 }),
  positionCheckMs: 10_000,
  outboxOverflow: 'catch_up',
  blockCacheBytes: 1_000_000,
} as unknown as ConstructorParameters<typeof TopicHub>[1];

const entry = encodeEntry({
  id: '01890000-0000-7000-8000-000000000000',
  topic: 't',
  payloadJson: '1',
  attachments: [],
  sender: null,
  timestamp: 1_760_000_000_000,
});

describe('[P2] subscribers of a log that is lost', () => {
  const clock = new FakeClock();
  let log: ScriptedLog;
  let hub: TopicHub;
  let budget: SendBufferBudget;

  beforeEach(() => {
    log = new ScriptedLog('t', () => entry);
    budget = new SendBufferBudget({ clock }, { limitMessages: 10, limitBytes: 1e6, totalBytes: 1e6 });
    const subscribers = new Map(['one', 'two'].map((id) => [id, new FakeSubscriber({ clock, budget }, id)]));
    const members = new Set<string>();
    const audience: Audience = {
      members: () => members,
      topicsOf: () => ['t'],
      connection: (id) => subscribers.get(id),
      join: (id) => void members.add(id),
      leave: (id) => void members.delete(id),
    };
    const broker = { ...log.broker, setListener: () => {} } as Broker;
    const none = () => {};
    hub = new TopicHub(
      {
        broker,
        audience,
        acks: { expectAcks: none, nextAckId: () => 1 },
        supervisor: {} as Supervisor,
        onDelivered: none,
        changes: { value: 0 },
        tracer: { queued: none, delivered: none, lost: none, caughtUp: none },
        log: silentLog,
        clock,
        utilization: () => 0,
      },
      settings,
    );
  });
  afterEach(async () => {
    await hub.close();
    budget.close();
  });

  const subscribe = (id: string, since?: Position) =>
    hub.subscribe({ id } as Parameters<TopicHub['subscribe']>[0], 't', since, () => true);

  it('recover nothing if it is lost while they join', async () => {
    log.append(5);
    await subscribe('one');
    // The log goes on under another epoch, so that its feed has to be brought up to it.
    log.rollBack(0);
    log.append(1);
    log.holdsCalls = true;
    const subscribed = subscribe('two', { epoch: 'e1', sequence: 2 });
    await clock.settle();
    log.calls.shift()!.late();
    await clock.settle();
    log.lose();
    log.append(7);
    log.holdsCalls = false;
    log.calls.shift()!.late();
    const { epoch, sequence, recovered } = await subscribed;
    assert.deepEqual([epoch, sequence, recovered], ['e3', 7, false]);
  });
});
