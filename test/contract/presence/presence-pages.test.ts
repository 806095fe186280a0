import assert from 'node:assert/strict';
import { silentLog } from '../../../server/logging/log.js';
import type { PresenceStore } from '../../../server/presence/presence-store.js';
import { MemoryPresenceStore } from '../../../server/storage/memory/memory-presence-store.js';
import { RedisPresenceStore } from '../../../server/storage/redis/redis-presence-store.js';
import { TestRedis } from '../../support/redis.js';
import { redisReplica } from '../../support/redis-replica.js';
import { redisBrokers } from '../../support/redis-brokers.js';
import { seededRandom } from '../../../bench/seeded-random.js';

interface OpenedStore {
  readonly store: PresenceStore;
  close(): Promise<unknown>;
}

function presenceContract(name: string, open: () => Promise<OpenedStore>): void {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

  describe(`[P7] pages of the users of a topic in ${name} (seed ${seed})`, function () {
    this.timeout(60_000);
    let opened: OpenedStore;
    before(async () => {
      opened = await open();
    });
    after(() => opened.close());

    const join = (topic: string, users: readonly string[], connections = 1) =>
      opened.store.apply(
        topic,
        users.map((userId) => ({ userId, connections, wasStored: true })),
        false,
      );

    it('hold everybody who stays, and nobody who was never there, while others come and go', async () => {
      const random = seededRandom(seed);
      const { store } = opened;
      const staying = Array.from({ length: 1500 }, (_, i) => `user-${i}`);
      await join('t', staying);
      const visitors = new Set<string>();
      for (const limit of [1, 100, 700, 5000]) {
        const found = new Map<string, number>();
        let cursor: string | undefined;
        let pages = 0;
        do {
          const page = await store.read('t', {
            limit,
            bytes: 1_000_000,
            ...(cursor !== undefined && { cursor }),
          });
          assert.ok(page.counts.size <= limit + 20, `${page.counts.size} users in a page of ${limit}`);
          for (const [userId, connections] of page.counts) found.set(userId, connections);
          cursor = page.next;
          assert.ok(++pages <= 4000, 'the pages end');
          if (pages % 10 !== 0) continue;
          const visitor = `visitor-${random(50)}`;
          visitors.add(visitor);
          await join('t', [visitor], random(2));
        } while (cursor !== undefined);
        assert.deepEqual(
          staying.filter((userId) => found.get(userId) !== 1),
          [],
        );
        const strangers = [...found.keys()].filter((userId) => !userId.startsWith('user-'));
        assert.deepEqual(
          strangers.filter((userId) => !visitors.has(userId)),
          [],
        );
      }
    });

    it('are bounded in bytes, and count all users', async () => {
      const users = Array.from({ length: 1000 }, (_, i) => `${'x'.repeat(200)}${i}`);
      await join('long', users);
      const found = new Set<string>();
      let cursor: string | undefined;
      do {
        const page = await opened.store.read('long', {
          limit: 1000,
          bytes: 150_000,
          ...(cursor !== undefined && { cursor }),
        });
        assert.ok([...page.counts.keys()].join('').length <= 150_000);
        assert.equal(page.total, 1000);
        for (const userId of page.counts.keys()) found.add(userId);
        cursor = page.next;
      } while (cursor !== undefined);
      assert.equal(found.size, 1000);
    });

    it('are one page where everything fits', async () => {
      await join('small', ['ann', 'bob'], 2);
      assert.deepEqual(await opened.store.read('small', { limit: 100, bytes: 10_000 }), {
        counts: new Map([
          ['ann', 2],
          ['bob', 2],
        ]),
        total: 2,
        next: undefined,
      });
    });
  });
}

presenceContract('memory', () =>
  Promise.resolve({ store: new MemoryPresenceStore(), close: () => Promise.resolve() }),
);

describe('with a Redis of its own', () => {
  let redis: TestRedis;
  before(async () => {
    redis = await TestRedis.start();
  });
  after(() => redis.stop());

  presenceContract('Redis', async () => {
    const fixture = await redisBrokers(redis);
    await fixture.open();
    const link = fixture.links[0]!;
    const { registry, bus, close } = redisReplica(link, 'a');
    await registry.beat();
    const store = new RedisPresenceStore({ link, bus, registry, log: silentLog }, { keyPrefix: 'rtc' });
    return { store, close: () => close().then(fixture.close) };
  });
});
