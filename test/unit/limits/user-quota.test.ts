import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { UserQuota } from '../../../server/limits/user-quota.js';
import type { UserQuotaStore } from '../../../server/limits/user-quota-store.js';
import { silentLog } from '../../../server/logging/log.js';

describe('[L8] a quota of a user', () => {
  let now: number;
  const quotas: UserQuota[] = [];
  const make = (store?: UserQuotaStore) => {
    const quota = new UserQuota(
      { store, log: silentLog, now: () => now },
      { name: 'stored', limit: 1000, windowMs: 10_000 },
    );
    quotas.push(quota);
    return quota;
  };
  const use = (quota: UserQuota, userId: string, amount: number) => {
    if (quota.waitMs(userId, amount) > 0) return false;
    quota.used(userId, amount);
    return true;
  };
  /** A store of all replicas, whose windows begin at multiples of their length. */
  const shared = (): UserQuotaStore => {
    const sums = new Map<string, number>();
    return {
      add: (quota, userId, amount, windowMs) => {
        const window = Math.floor(now / windowMs);
        const key = `${quota} ${userId} ${window}`;
        sums.set(key, (sums.get(key) ?? 0) + amount);
        const previous = sums.get(`${quota} ${userId} ${window - 1}`) ?? 0;
        return Promise.resolve({ current: sums.get(key)!, previous, ageMs: now % windowMs });
      },
    };
  };
  beforeEach(() => {
    now = 0;
  });
  afterEach(() => {
    for (const quota of quotas.splice(0)) quota.close();
  });

  it('refuses a user over the limit, says when to come back, and then admits', () => {
    const quota = make();
    for (let i = 0; i < 10; i++) assert.equal(use(quota, 'eve', 100), true);
    assert.equal(use(quota, 'eve', 1), false);
    assert.equal(use(quota, 'ann', 1000), true);
    assert.equal(quota.waitMs('eve', 1), 10_000);
    now = 15_000;
    // Half of the window before still counts.
    assert.equal(use(quota, 'eve', 600), false);
    assert.equal(use(quota, 'eve', 500), true);
    now = 40_000;
    assert.equal(use(quota, 'eve', 1000), true);
  });

  it('admits what is larger than the whole quota if nothing else was used', () => {
    const quota = make();
    assert.equal(use(quota, 'ann', 5000), true);
    assert.equal(use(quota, 'ann', 1), false);
  });

  it('holds over several replicas, up to a twentieth each', async () => {
    const store = shared();
    const replicas = Array.from({ length: 4 }, () => make(store));
    let admitted = 0;
    for (let i = 0; i < 1000; i++) {
      if (use(replicas[i % 4]!, 'eve', 5)) admitted += 5;
      await turn();
    }
    assert.ok(admitted >= 1000 && admitted <= 1000 + 4 * 50 + 20, `${admitted}`);
  });

  it('admits nothing twice while outcomes are open, and gives back what was not used', () => {
    const quota = make();
    const open = Array.from({ length: 10 }, () => quota.reserve('eve', 100));
    assert.equal(quota.waitMs('eve', 1), 1000, 'may be given back soon');
    open[0]!(false);
    assert.equal(quota.waitMs('eve', 100), 0);
    for (const settle of open.slice(1)) settle(true);
    assert.equal(quota.waitMs('eve', 101), 10_000);
    assert.equal(quota.waitMs('eve', 100), 0);
  });

  it('does not give back to a window what was reserved in the one before', () => {
    const quota = make();
    const settle = quota.reserve('eve', 1000);
    now = 10_000;
    const second = quota.reserve('eve', 500);
    settle(false);
    second(true);
    now = 20_000;
    assert.equal(quota.waitMs('eve', 501) > 0, true);
    assert.equal(quota.waitMs('eve', 500), 0);
  });

  it('in a burst on two replicas holds on each, and gives back on both', async () => {
    const store = shared();
    const replicas = [make(store), make(store)];
    const open: ((isUsed: boolean) => void)[] = [];
    const burst = () => {
      for (let i = 0; i < 1000; i++)
        for (const quota of replicas) if (quota.waitMs('eve', 5) === 0) open.push(quota.reserve('eve', 5));
    };
    burst();
    assert.equal(open.length, 400, 'each admits the whole quota');
    await turn();
    burst();
    assert.equal(open.length, 400, 'and no more once they have learned from each other');
    for (const settle of open.splice(0)) settle(false);
    await turn();
    for (let i = 0; i < 4; i++) {
      // Each learns what the other one has given back.
      for (const quota of replicas) quota.used('eve', 50);
      await turn();
    }
    burst();
    assert.ok(open.length >= 120 && open.length <= 260, `${open.length}`);
  });

  it('goes on counting on its own while the store cannot be reached', async () => {
    const quota = make({ add: () => Promise.reject(new Error('away')) });
    for (let i = 0; i < 10; i++) {
      assert.equal(use(quota, 'eve', 100), true);
      await turn();
    }
    assert.equal(use(quota, 'eve', 100), false);
    now = 25_000;
    assert.equal(use(quota, 'eve', 1000), true, 'what was not settled is over with its window');
  });
});
