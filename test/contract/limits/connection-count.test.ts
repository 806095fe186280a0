import assert from 'node:assert/strict';
import { RedisConnectionCountStore } from '../../../server/storage/redis/redis-connection-count-store.js';
import { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { silentLog } from '../../../server/logging/log.js';
import { redisReplica, type RedisReplica } from '../../support/redis-replica.js';
import { TestRedis } from '../../support/redis.js';
import { until } from '../../support/wait.js';

/** The parts of a replica that count connections. */
interface Replica {
  readonly link: RedisLink;
  readonly replica: RedisReplica;
  readonly store: RedisConnectionCountStore;
}

describe('[LIMITS] RedisConnectionCountStore', function () {
  let redis: TestRedis;
  let a: Replica;
  let b: Replica;
  const open = async (replicaId: string): Promise<Replica> => {
    const settings = { url: redis.url, commandTimeoutMs: 500, stallLimitMs: 3000 };
    const link = new RedisLink({ log: silentLog }, settings);
    const replica = redisReplica(link, replicaId);
    const { bus } = replica;
    link.start();
    assert.ok(await link.whenUp(5000), 'Redis came up');
    await bus.replicas();
    return { link, replica, store: new RedisConnectionCountStore({ link, bus }, { keyPrefix: 'rtc' }) };
  };
  beforeEach(async () => {
    redis = await TestRedis.start();
    [a, b] = [await open('a'), await open('b')];
  });
  afterEach(async () => {
    for (const { link, replica, store } of [a, b]) {
      await store.close();
      await replica.close();
      await link.close();
    }
    await redis.stop();
  });

  it('reports the counts of the other replicas to each replica', async () => {
    await a.store.set('ann', 2);
    await b.store.set('ann', 3);
    await b.store.set('bob', 1);
    assert.equal(await a.store.elsewhere('ann'), 3);
    assert.equal(await b.store.elsewhere('ann'), 2);
    assert.equal(await b.store.elsewhere('bob'), 0);
    await b.store.set('ann', 0);
    assert.equal(await a.store.elsewhere('ann'), 0);
  });

  it('shows concurrent counts of two replicas to at least one of them', async () => {
    for (let n = 0; n < 100; n++) {
      const user = `user-${n}`;
      const raise = async ({ store }: Replica) =>
        (await Promise.all([store.set(user, 1), store.elsewhere(user)]))[1];
      const seen = await Promise.all([raise(a), raise(b)]);
      assert.ok(seen[0] + seen[1] >= 1, String(seen));
    }
  });

  it('replaces the earlier counts of a replica', async () => {
    await a.store.set('ann', 2);
    await a.store.replace(new Map(Array.from({ length: 1200 }, (_, n) => [`user-${n}`, 1])));
    assert.equal(await b.store.elsewhere('ann'), 0);
    assert.equal(await b.store.elsewhere('user-1199'), 1);
  });

  it('does not include the counts of a killed replica, and lets them expire', async () => {
    await b.store.set('ann', 5);
    // Without a clean shutdown, as after SIGKILL.
    await b.link.close();
    await until(async () => (await a.store.elsewhere('ann')) === 0, 'the killed replica does not count');
    const ttlMs = Number((await redis.command('PTTL rtc:connections:b'))!.slice(1));
    assert.ok(ttlMs > 0 && ttlMs <= 3_600_000, String(ttlMs));
  });

  it('removes its counts when it is closed', async () => {
    await b.store.set('ann', 5);
    await b.store.close();
    assert.equal(await a.store.elsewhere('ann'), 0);
    assert.equal(await redis.command('EXISTS rtc:connections:b'), ':0');
  });
});
