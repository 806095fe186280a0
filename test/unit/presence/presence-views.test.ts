import assert from 'node:assert/strict';
import { silentLog } from '../../../server/logging/log.js';
import { PresenceViews } from '../../../server/presence/presence-views.js';
import { until } from '../../support/wait.js';

const settleMs = 100;

describe('[PRESENCE] PresenceViews, when the store has lost the users of a topic', () => {
  let users: Map<string, number>;
  let reads: number;
  let events: string[];
  let onRead: (() => void) | undefined;
  let views: PresenceViews;
  const join = (userId: string) => {
    users.set(userId, 1);
    views.receive('t', [{ userId, event: 'join', connections: 1 }]);
  };
  const compared = async () => {
    const before = reads;
    await until(() => reads > before, 'the view is compared');
    await new Promise(setImmediate);
  };

  beforeEach(async () => {
    users = new Map([
      ['ann', 1],
      ['bob', 1],
    ]);
    reads = 0;
    events = [];
    onRead = undefined;
    views = new PresenceViews({
      store: {
        settleMs,
        read: async () => {
          reads++;
          onRead?.();
          onRead = undefined;
          return { counts: new Map(users), total: users.size, next: undefined };
        },
      },
      log: silentLog,
      notify: (_topic, event) => {
        const { event: kind, user_id: userId } = event as { event: string; user_id: string };
        events.push(`${kind} ${userId}`);
      },
      storedUser: () => 'ann',
    });
    views.watched('t');
    // Messages that are older than the first read are none of its concern.
    const openedAt = performance.now();
    await until(() => reads === 1 && performance.now() - openedAt > 3 * settleMs, 'the view is settled');
  });
  afterEach(() => views.close());

  it('does not say that they have left', async () => {
    users.clear();
    views.compareAllLater();
    await compared();
    assert.deepEqual(events, []);
  });

  it('does not say it while some replicas have stored theirs again, and others not yet', async () => {
    users.clear();
    onRead = () => {
      join('ann');
      setImmediate(() => join('bob'));
    };
    views.compareAllLater();
    await compared();
    await compared();
    assert.deepEqual(events, ['join ann', 'join bob']);
  });

  it('says it of those whom nobody stores again', async () => {
    users.clear();
    views.compareAllLater();
    await compared();
    join('ann');
    await until(() => events.length === 2, 'somebody has left');
    assert.deepEqual(events, ['join ann', 'leave bob']);
  });
});
