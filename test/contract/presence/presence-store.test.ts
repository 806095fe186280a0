import assert from 'node:assert/strict';
import type { PresenceStore, PresenceTransition } from '../../../server/presence/presence-store.js';
import { silentLog } from '../../../server/logging/log.js';
import { MemoryPresenceStore } from '../../../server/storage/memory/memory-presence-store.js';
import { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { clusterReplicaPrefix } from '../../../server/storage/redis/cluster/open-redis-cluster.js';
import type { RedisStore } from '../../../server/storage/redis/redis-store.js';
import { replicaKeys } from '../../../server/storage/redis/replica-keys.js';
import { RedisPresenceStore } from '../../../server/storage/redis/redis-presence-store.js';
import { Closing } from '../../support/closing.js';
import { openTestCluster } from '../../support/redis-brokers.js';
import { TestRedisCluster } from '../../support/redis-cluster.js';
import { redisReplica } from '../../support/redis-replica.js';
import { TestRedis } from '../../support/redis.js';
import { until } from '../../support/wait.js';

interface Opened {
  readonly store: PresenceStore;
  readonly heard: string[];
}

const page = { limit: 10_000, bytes: 10_000_000 };
const change = (userId: string, connections: number, wasStored = connections === 0) => ({
  userId,
  connections,
  wasStored,
});

function listen(store: PresenceStore): Opened {
  const heard: string[] = [];
  store.onTransitions((topic, transitions: readonly PresenceTransition[]) => {
    for (const { event, userId, connections } of transitions)
      heard.push(`${topic}: ${event} ${userId} ${connections}`);
  });
  return { store, heard };
}

async function countsOf(store: PresenceStore, topic: string): Promise<Record<string, number>> {
  return Object.fromEntries((await store.read(topic, page)).counts);
}

function contract(name: string, open: () => Promise<Opened>): void {
  describe(`a presence store in ${name}`, function () {
    let opened: Opened;
    beforeEach(async () => {
      opened = await open();
    });

    it('announces the first connection of a user and the last one', async () => {
      const { store, heard } = opened;
      await store.apply('t', [change('ann', 2), change('bob', 1)], false);
      await store.apply('t', [change('ann', 1)], false);
      await store.apply('t', [change('ann', 0)], false);
      await store.apply('t', [change('bob', 0)], true);
      await until(() => heard.length === 4, 'all are announced');
      assert.deepEqual(heard, ['t: join ann 2', 't: join bob 1', 't: leave ann 0', 't: leave bob 0']);
      assert.deepEqual(await countsOf(store, 't'), {});
    });

    it('knows the counts of this replica as long as there are some', async () => {
      const { store } = opened;
      await store.apply('t', [change('ann', 2), change('bob', 1)], false);
      await store.apply('u', [change('ann', 1)], false);
      assert.deepEqual((await store.storedTopics()).sort(), ['t', 'u']);
      assert.deepEqual(Object.fromEntries(await store.stored('t')), { ann: 2, bob: 1 });
      await store.apply('u', [change('ann', 0)], true);
      assert.deepEqual(await store.storedTopics(), ['t']);
      assert.equal((await store.stored('u')).size, 0);
    });

    it('finds nothing lost where nothing is lost', async () => {
      const { store } = opened;
      assert.deepEqual(await store.check([]), []);
      await store.apply('t', [change('ann', 1)], false);
      await store.apply('u', [change('bob', 1)], false);
      assert.deepEqual(
        await store.check([
          { topic: 't', userId: 'ann' },
          { topic: 'u', userId: 'bob' },
        ]),
        [],
      );
    });
  });
}

contract('memory', async () => listen(new MemoryPresenceStore()));

function inRedis(name: 'Redis' | 'a Redis Cluster'): void {
  describe(`presence in ${name}`, function () {
    this.timeout(60_000);
    const closing = new Closing();
    const inCluster = name === 'a Redis Cluster';
    let redis: TestRedis;
    let cluster: TestRedisCluster;
    const keyPrefix = 'rtc';
    const replicaPrefix = inCluster ? clusterReplicaPrefix(keyPrefix) : keyPrefix;
    const names = replicaKeys(replicaPrefix);
    const openLink = () => {
      if (inCluster) return openTestCluster(cluster.url);
      const settings = { url: redis.url, commandTimeoutMs: 1000, stallLimitMs: 5000 };
      const single = new RedisLink({ log: silentLog }, settings);
      single.start();
      return single;
    };
    const openReplica = async (id: string) => {
      const link = openLink();
      const replica = redisReplica(link, id, { heartbeatMs: 50, leaseMs: 600, keyPrefix: replicaPrefix });
      const { bus, registry } = replica;
      const store = new RedisPresenceStore(
        { link, bus, registry, log: silentLog },
        { keyPrefix, replicaPrefix },
      );
      closing.add(async () => {
        await replica.close();
        await link.close();
      });
      assert.ok(await link.whenUp(30_000));
      await registry.beat();
      return {
        ...listen(store),
        link,
        registry,
        call: <Reply>(...words: string[]) => link.call<Reply>(words),
      };
    };
    before(async () => {
      if (inCluster) cluster = await TestRedisCluster.start();
      else redis = await TestRedis.start();
    });
    after(() => (inCluster ? cluster : redis).stop());
    beforeEach(async () => void (await (inCluster ? cluster.flush() : redis.command('FLUSHALL'))));
    afterEach(() => closing.close());

    contract(name, () => openReplica('a'));

    it('counts a user once who is on several replicas, and announces to all of them', async () => {
      const [a, b] = [await openReplica('a'), await openReplica('b')];
      await a.store.apply('t', [change('ann', 2)], false);
      await b.store.apply('t', [change('ann', 1)], false);
      assert.deepEqual(await countsOf(b.store, 't'), { ann: 3 });
      await a.store.apply('t', [change('ann', 0)], true);
      await b.store.apply('t', [change('ann', 0)], true);
      for (const { heard } of [a, b]) {
        await until(() => heard.length === 2, 'both changes are announced');
        assert.deepEqual(heard, ['t: join ann 2', 't: leave ann 0']);
      }
    });

    it('removes the users of a replica that ends without a word, and announces those who are nowhere else', async () => {
      const [a, b] = [await openReplica('a'), await openReplica('b')];
      const users = Array.from({ length: 1000 }, (_, i) => change(`user-${i}`, 1));
      await b.store.apply('t', users, false);
      await b.store.apply('u', [change('ann', 1)], false);
      await a.store.apply('t', [change('user-7', 1)], false);
      await b.link.close();
      await until(
        () => a.heard.filter((line) => line.includes('leave')).length === 1000,
        'all are announced',
      );
      assert.ok(a.heard.includes('u: leave ann 0'));
      assert.deepEqual(await countsOf(a.store, 't'), { 'user-7': 1 });
      await until(async () => (await keysLike(a.link, '*:b')).length === 0, 'nothing of the replica is left');
    });

    it('lets another replica go on when the one that removes users ends too', async () => {
      const [a, b] = [await openReplica('a'), await openReplica('b')];
      await b.store.apply('t', [change('bob', 1)], false);
      await a.call('SET', names.presenceSweep('b'), 'a replica that has just ended', 'PX', '1000');
      await b.link.close();
      await until(() => a.heard.includes('t: leave bob 0'), 'the user is announced');
    });

    it('removes nothing of a replica that has its lease again, and lets nothing be written without one', async () => {
      const [a, b] = [await openReplica('a'), await openReplica('b')];
      await b.store.apply('t', [change('bob', 1)], false);
      let lost = 0;
      b.store.onLost(() => lost++);
      // In one turn: no heartbeat comes in between.
      const removed = b.call('ZREM', names.leases, 'b');
      await assert.rejects(b.store.apply('t', [change('ben', 1)], false), /no lease/);
      await removed;
      await until(() => lost > 0, 'the replica is told');
      await b.store.apply('t', [change('ben', 1)], false);
      assert.deepEqual(await countsOf(a.store, 't'), { bob: 1, ben: 1 });
      assert.deepEqual(a.heard, ['t: join bob 1', 't: join ben 1']);
    });

    it('finds what is lost: a topic, the users of one replica on it, or everything', async () => {
      const [a, b] = [await openReplica('a'), await openReplica('b')];
      for (const topic of ['t', 'u']) await a.store.apply(topic, [change('ann', 1)], false);
      const samples = ['t', 'u'].map((topic) => ({ topic, userId: 'ann' }));
      await a.call('DEL', 'rtc:{t}:presence');
      assert.deepEqual(await a.store.check(samples), ['t']);
      await b.store.apply('t', [change('bob', 1)], false);
      assert.deepEqual(await a.store.check(samples), ['t'], 'although there is a hash again');
      await a.call('DEL', names.presenceTopics('a'));
      assert.equal(await a.store.check(samples), 'all');
    });

    it('announces a user who leaves, also if Redis has lost that user', async () => {
      const a = await openReplica('a');
      await a.store.apply('t', [change('ann', 1)], false);
      await a.call('DEL', 'rtc:{t}:presence');
      await a.store.apply('t', [change('ann', 0)], true);
      await until(() => a.heard.includes('t: leave ann 0'), 'the user is announced');
    });

    it('does not expire while a replica looks after it', async () => {
      const a = await openReplica('a');
      await a.store.apply('t', [change('ann', 1)], false);
      for (const key of ['rtc:{t}:presence', names.presenceTopics('a')])
        await a.call('PEXPIRE', key, '40000');
      await a.store.check([{ topic: 't', userId: 'ann' }]);
      for (const key of ['rtc:{t}:presence', names.presenceTopics('a')])
        assert.ok((await a.call<number>('PTTL', key)) > 80_000_000, key);
    });

    if (!inCluster)
      it('is the same for replicas of version 0.1, and removes their users too', async () => {
        const a = await openReplica('a');
        a.store.followTopics(() => ['t']);
        const [secs, micros] = await a.call<[string, string]>('TIME');
        await a.call(
          'ZADD',
          'rtc:replicas',
          String(Number(secs) * 1000 + Math.floor(Number(micros) / 1000)),
          'old',
        );
        await a.store.apply('t', [change('ann', 1)], false);
        await a.call('HSET', 'rtc:{t}:presence', 'ann', 'a=1 old=2', 'olga', 'old=1');
        assert.deepEqual(await a.call('HGET', 'rtc:{t}:presence', 'ann'), 'a=1 old=2');
        assert.deepEqual(await countsOf(a.store, 't'), { ann: 3, olga: 1 });
        await until(
          async () => (await countsOf(a.store, 't'))['olga'] === undefined,
          'its users are removed',
        );
        assert.deepEqual(a.heard, ['t: join ann 1', 't: leave olga 0']);
        assert.deepEqual(await countsOf(a.store, 't'), { ann: 1 });
      });

    it('goes on with the other topics if a stranger has a key of the name of one', async () => {
      const [a, b] = [await openReplica('a'), await openReplica('b')];
      for (const topic of ['s', 't']) await b.store.apply(topic, [change('bob', 1)], false);
      await a.call('SET', 'rtc:{s}:presence', 'of another program');
      await b.link.close();
      await until(() => a.heard.includes('t: leave bob 0'), 'the user is announced');
      await until(
        async () => (await a.call<string[]>('ZRANGE', names.departed, '0', '-1')).length === 0,
        'the replica is forgotten',
      );
    });

    it('is written again if the replica came back while its users were being removed', async () => {
      const [a, b] = [await openReplica('a'), await openReplica('b')];
      let lost = 0;
      const write = () =>
        b.store.apply('t', [change('bob', 1)], false).then(
          () => true,
          () => false,
        );
      b.store.onLost(() => {
        lost++;
        // Repeated while it is refused, as the service does.
        until(write, 'the user is written').catch(() => {});
      });
      for (let round = 0; round < 20; round++) {
        // Refused while it has no lease.
        await b.store.apply('t', [change('bob', 1)], false).catch(() => {});
        // Others take it for departed, until its next heartbeat.
        await a.call('ZREM', names.beats, 'b');
        await a.call('ZREM', names.leases, 'b');
        await a.registry.beat();
      }
      assert.ok(lost > 0);
      await until(async () => (await countsOf(a.store, 't'))['bob'] === 1, 'the user is present');
    });
  });
}

async function keysLike(link: RedisStore, pattern: string): Promise<string[]> {
  const found = await Promise.all(link.nodes().map((node) => node.call<string[]>(['KEYS', pattern])));
  return found.flat();
}

inRedis('Redis');
inRedis('a Redis Cluster');
