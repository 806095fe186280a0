import assert from 'node:assert/strict';
import { MemorySharedStore } from '../../server/cluster/memory-shared-store.js';
import { RedisLink } from '../../server/cluster/redis-link.js';
import { RedisSharedStore } from '../../server/cluster/redis-shared-store.js';
import { ReplicatedMap } from '../../server/replicas/replicated-map.js';
import type { SharedStore } from '../../server/replicas/shared-store.js';
import { MemoryBus } from '../../server/cluster/memory-bus.js';
import { silentLog } from '../../server/telemetry/log.js';
import { TestRedis } from '../support/redis.js';
import { until } from '../support/wait.js';

for (const storage of ['memory', 'redis'] as const) {
  describe(`[STORE] shared state in ${storage}`, () => {
    let store: SharedStore;
    let redis: TestRedis | undefined;
    let link: RedisLink | undefined;
    before(async () => {
      if (storage === 'memory') {
        store = new MemorySharedStore({ nowMs: Date.now });
        return;
      }
      redis = await TestRedis.start();
      link = new RedisLink(
        { log: silentLog },
        { url: redis.url, commandTimeoutMs: 1000, stallLimitMs: 5000 },
      );
      link.start();
      assert.ok(await link.whenUp(5000));
      store = new RedisSharedStore(link, { keyPrefix: 'test' });
    });
    after(async () => {
      await link?.close();
      await redis?.stop();
    });

    it('keeps values, until they expire', async () => {
      assert.equal(await store.get('a'), undefined);
      await store.set('a', '1');
      await store.set('b', '2', 40);
      assert.deepEqual([await store.get('a'), await store.get('b')], ['1', '2']);
      await until(async () => (await store.get('b')) === undefined, 'it expires');
      assert.deepEqual(
        [await store.delete('a'), await store.delete('a'), await store.get('a')],
        [true, false, undefined],
      );
    });

    it('lets the first of several win', async () => {
      const won = await Promise.all([1, 2, 3, 4].map((n) => store.setIfAbsent('race', String(n), 10_000)));
      assert.deepEqual(won, [true, false, false, false]);
      assert.equal(await store.get('race'), '1');
    });

    it('sets and removes fields of a map in one step', async () => {
      await store.setFields('map', { a: '1', b: '2', 'c:d': 'x y' });
      await store.setFields('map', { a: undefined, b: '3' });
      await store.setFields('map', { none: undefined });
      assert.deepEqual(Object.fromEntries(await store.fields('map')), { b: '3', 'c:d': 'x y' });
      assert.deepEqual([await store.field('map', 'b'), await store.field('map', 'a')], ['3', undefined]);
      assert.equal((await store.fields('nothing')).size, 0);
    });

    it('keeps about the newest records of a list, newest first, by pages', async () => {
      const ids: string[] = [];
      for (let n = 0; n < 5; n++) ids.push(await store.append('list', { n: String(n) }, 1000));
      assert.deepEqual(ids, [...ids].sort());
      const first = await store.latest('list', 2);
      assert.deepEqual(
        first.map(({ fields }) => fields['n']),
        ['4', '3'],
      );
      const next = await store.latest('list', 10, first[1]!.id);
      assert.deepEqual(
        next.map(({ fields }) => fields['n']),
        ['2', '1', '0'],
      );
      assert.deepEqual(await store.latest('empty', 10), []);
      for (let n = 0; n < 1000; n++) await store.append('long', { n: String(n) }, 10);
      const kept = await store.latest('long', 1000);
      assert.ok(kept.length >= 10 && kept.length <= 210, `${kept.length} are kept`);
      assert.equal(kept[0]!.fields['n'], '999');
    });

    it('is mirrored by every replica, also by one that does not hear of a change', async () => {
      const changes: string[] = [];
      // Two buses that do not know of each other: no message arrives.
      const maps = ['a', 'b'].map(
        (replica) =>
          new ReplicatedMap(
            { store, bus: new MemoryBus(replica), log: silentLog },
            { name: 'switches', checkMs: 20 },
          ),
      );
      maps[1]!.onChange((field, value) => changes.push(`${field}=${value}`));
      await maps[0]!.set({ mode: 'x', other: 'y' });
      assert.equal(maps[0]!.get('mode'), 'x');
      await until(() => maps[1]!.get('mode') === 'x', 'the other finds it');
      await maps[0]!.set({ mode: undefined, other: 'z' });
      await until(() => maps[1]!.get('other') === 'z', 'the other finds it');
      assert.equal(maps[1]!.get('mode'), undefined);
      assert.deepEqual(changes, ['mode=x', 'other=y', 'mode=undefined', 'other=z']);
      for (const map of maps) map.close();
    });
  });
}
