import assert from 'node:assert/strict';
import { silentLog } from '../../../server/logging/log.js';
import { RedisLosses, type RedisLoss } from '../../../server/storage/redis/redis-losses.js';

describe('[LOG] a Redis that has come back with less', () => {
  let losses: RedisLosses;
  let found: Pick<RedisLoss, 'since' | 'isEmpty'>[];
  let now: number;
  const beats = (...counts: number[]) => {
    for (const count of counts) {
      now += 1000;
      losses.counted(count);
    }
  };

  beforeEach(() => {
    now = 0;
    found = [];
    losses = new RedisLosses({ log: silentLog, now: () => now });
    losses.onLoss(({ since, isEmpty }) => found.push({ since, isEmpty }));
  });

  it('is recognised by the number of heartbeats, with the time of the last one that is left', () => {
    beats(10, 12, 14, 16);
    assert.deepEqual(found, []);
    beats(13);
    assert.deepEqual(found, [{ since: 2000, isEmpty: false }]);
  });

  it('is reported once', () => {
    beats(10, 12, 11, 13, 14);
    assert.equal(found.length, 1);
    beats(14);
    assert.equal(found.length, 2);
  });

  it('is empty where nothing is left', () => {
    beats(10, 1, 2);
    assert.deepEqual(found, [{ since: undefined, isEmpty: true }]);
  });

  it('is none at the first heartbeat, and none with those of other replicas', () => {
    beats(1, 2, 7, 100);
    assert.deepEqual(found, []);
  });
});
