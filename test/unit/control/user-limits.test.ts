import assert from 'node:assert/strict';
import { ReplicatedMap } from '../../../server/cluster/replicated-map.js';
import { UserLimits, userLimitsMax } from '../../../server/control/user-limits.js';
import { silentLog } from '../../../server/logging/log.js';
import { systemClock } from '../../../server/primitives/clock.js';
import { MemoryBus } from '../../../server/storage/memory/memory-bus.js';
import { MemorySharedStore } from '../../../server/storage/memory/memory-shared-store.js';

describe('[LIMITS] limits for single users', () => {
  let now = 1000;
  let map: ReplicatedMap;
  let limits: UserLimits;
  beforeEach(() => {
    now = 1000;
    map = new ReplicatedMap(
      { store: new MemorySharedStore({ now: () => now }), bus: new MemoryBus('a'), log: silentLog },
      { name: 'control', checkMs: 60_000 },
    );
    limits = new UserLimits({ map, clock: { ...systemClock, wallTime: () => now } });
  });
  afterEach(() => {
    limits.close();
    map.close();
  });
  const set = (userId: string) =>
    limits.set({ userId, commandsPerSec: 5, until: now + 1000, by: 'olga', at: now, reason: 'flood' });

  it('end by themselves', async () => {
    await set('mallory');
    assert.equal(limits.rateOf('mallory'), 5);
    assert.equal(limits.rateOf('ann'), undefined);
    assert.deepEqual(
      limits.list().map(({ userId, reason }) => [userId, reason]),
      [['mallory', 'flood']],
    );
    now += 1000;
    assert.equal(limits.rateOf('mallory'), undefined);
    assert.deepEqual(limits.list(), []);
  });

  it('are replaced, deleted, and limited in number', async () => {
    for (let n = 0; n < userLimitsMax; n++) await set(`user${n}`);
    await assert.rejects(set('one-more'), { code: 'conflict' });
    await set('user7');
    assert.equal(await limits.delete('user7'), true);
    assert.equal(await limits.delete('user7'), false);
    await set('one-more');
  });

  it('ignore what is no limit', async () => {
    await map.set({
      'user_limit:ann': 'garbage',
      'user_limit:bob': '{"value":7}',
      'user_limit:carl': 'null',
    });
    assert.deepEqual(limits.list(), []);
    assert.equal(limits.rateOf('bob'), undefined);
  });
});
