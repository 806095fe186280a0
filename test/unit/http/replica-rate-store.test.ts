import assert from 'node:assert/strict';
import { ReplicaRateStore } from '../../../server/http/replica-rate-store.js';

describe('[HTTP] the counts of requests on one replica', () => {
  const windowMs = 60_000;
  let now: number;
  let wall: number;
  let store: ReplicaRateStore;
  beforeEach(() => {
    now = 5000;
    wall = 1_700_000_000_000;
    store = new ReplicaRateStore({ now: () => now, wallTime: () => wall });
    store.init({ windowMs });
  });
  const pass = (ms: number) => {
    now += ms;
    wall += ms;
  };

  it('begin again after the window of each caller', () => {
    assert.deepEqual(store.increment('ann'), { totalHits: 1, resetTime: new Date(wall + windowMs) });
    pass(windowMs / 2);
    assert.equal(store.increment('ann').totalHits, 2);
    assert.equal(store.increment('bob').totalHits, 1);
    pass(windowMs / 2);
    assert.equal(store.increment('ann').totalHits, 1);
    assert.equal(store.increment('bob').totalHits, 2);
  });

  for (const hours of [-3, 3])
    it(`do so too while the wall clock jumps by ${hours} hours`, () => {
      store.increment('olga');
      wall += hours * 3_600_000;
      const { totalHits, resetTime } = store.increment('olga');
      assert.deepEqual([totalHits, resetTime!.getTime() - wall], [2, windowMs]);
      pass(windowMs);
      assert.equal(store.increment('olga').totalHits, 1);
    });

  it('can be taken back', () => {
    store.increment('ann');
    store.increment('ann');
    store.decrement('ann');
    assert.equal(store.increment('ann').totalHits, 2);
    store.resetKey('ann');
    store.decrement('ann');
    assert.equal(store.increment('ann').totalHits, 1);
  });
});
