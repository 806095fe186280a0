import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { RedisUserRateStore } from '../../../server/storage/redis/redis-user-rate-store.js';
import { LocalUserRates } from '../../../server/limits/local-user-rates.js';
import { rateSlotMs, rateSlots, type UserRateStore } from '../../../server/limits/user-rate-store.js';
import { silentLog } from '../../../server/logging/log.js';
import { TestRedis } from '../../support/redis.js';

/** Stores that count together, like one per replica. */
interface RateFixture {
  readonly stores: readonly [UserRateStore, ...UserRateStore[]];
}

const now = () => performance.now();

/** One caller of a random run: waits, then requests. */
const step = fc.record({ waitMs: fc.nat(250), want: fc.integer({ min: 1, max: 12 }) });
const callers = fc.array(fc.array(step, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 5 });

function userRateContract(driver: string, fixture: () => RateFixture): void {
  describe(`[LIMITS] ${driver} counts the commands of users`, function () {
    this.timeout(60_000);
    let users = 0;
    const newUser = () => `${driver}-${++users}`;

    it('grants requested commands up to the rate, then none until a slot leaves the window', async () => {
      const { stores } = fixture();
      const user = newUser();
      const other = stores[stores.length - 1]!;
      assert.deepEqual(await stores[0].take(user, 10, 4), { granted: 4, retryAfterMs: 0 });
      const rest = await other.take(user, 10, 20);
      assert.equal(rest.granted, 6);
      const denial = await stores[0].take(user, 10, 1);
      assert.equal(denial.granted, 0);
      assert.ok(denial.retryAfterMs > 0 && denial.retryAfterMs <= 1000, String(denial.retryAfterMs));
      await sleep(denial.retryAfterMs + 2);
      assert.ok((await other.take(user, 10, 10)).granted >= 4);
    });

    it('grants the full rate again after a second without commands', async () => {
      const { stores } = fixture();
      const user = newUser();
      await stores[0].take(user, 5, 5);
      await sleep(1002);
      assert.deepEqual(await stores[0].take(user, 5, 5), { granted: 5, retryAfterMs: 0 });
    });

    it('counts each user separately', async () => {
      const { stores } = fixture();
      const [one, two] = [newUser(), newUser()];
      await stores[0].take(one, 3, 3);
      assert.equal((await stores[0].take(two, 3, 3)).granted, 3);
    });

    it('uses a new rate at once: grants more, or nothing until the count is below it', async () => {
      const { stores } = fixture();
      const user = newUser();
      await stores[0].take(user, 10, 10);
      assert.equal((await stores[0].take(user, 30, 100)).granted, 20);
      assert.equal((await stores[0].take(user, 5, 1)).granted, 0);
    });

    it('never grants more than the rate within a window, for random callers (a failure prints its seed)', async () => {
      const { stores } = fixture();
      const ratePerSec = 20;
      const property = fc.asyncProperty(callers, async (plans) => {
        const user = newUser();
        const grants: { fromMs: number; toMs: number; granted: number }[] = [];
        await Promise.all(
          plans.map(async (steps, caller) => {
            const store = stores[caller % stores.length]!;
            for (const { waitMs, want } of steps) {
              await sleep(waitMs);
              const fromMs = now();
              const { granted, retryAfterMs } = await store.take(user, ratePerSec, want);
              grants.push({ fromMs, toMs: now(), granted });
              assert.ok(granted >= 0 && granted <= want);
              assert.equal(retryAfterMs > 0, granted < want);
            }
          }),
        );
        // Grants within nine slots were counted in ten slots at most.
        for (const { fromMs } of grants) {
          const endAt = fromMs + (rateSlots - 1) * rateSlotMs;
          const within = grants.filter((grant) => grant.fromMs >= fromMs && grant.toMs <= endAt);
          const sum = within.reduce((total, { granted }) => total + granted, 0);
          assert.ok(sum <= ratePerSec, `${sum} in a window`);
        }
      });
      // Each run takes real seconds, so the runs are parallel.
      await Promise.all(Array.from({ length: 12 }, () => fc.assert(property, { numRuns: 3 })));
    });
  });
}

userRateContract('LocalUserRates', () => ({ stores: [new LocalUserRates({ now })] }));

describe('with a Redis of its own', () => {
  let redis: TestRedis;
  const links: RedisLink[] = [];
  before(async () => {
    redis = await TestRedis.start();
    for (let n = 0; n < 2; n++) {
      const link = new RedisLink(
        { log: silentLog },
        { url: redis.url, commandTimeoutMs: 500, stallLimitMs: 3000 },
      );
      links.push(link);
      link.start();
      assert.ok(await link.whenUp(5000), 'Redis came up');
    }
  });
  after(async () => {
    for (const link of links) await link.close();
    await redis.stop();
  });
  const storeOn = (link: RedisLink) => new RedisUserRateStore(link, { keyPrefix: 'rtc' });

  userRateContract('RedisUserRateStore', () => ({
    stores: [storeOn(links[0]!), storeOn(links[1]!)],
  }));

  describe('[LIMITS] RedisUserRateStore', () => {
    it('leaves no keys in Redis', async () => {
      await storeOn(links[0]!).take('passing', 10, 1);
      const ttlMs = Number((await redis.command('PTTL rtc:rate:{passing}'))!.slice(1));
      assert.ok(ttlMs > 1000 && ttlMs <= 2000, String(ttlMs));
    });

    it('counts by the clock of Redis, and ignores future slots after the clock was set back', async () => {
      await redis.command('HSET rtc:rate:{back} 99999999999 10');
      assert.equal((await storeOn(links[0]!).take('back', 10, 10)).granted, 10);
    });
  });
});
