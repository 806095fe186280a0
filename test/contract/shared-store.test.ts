import assert from 'node:assert/strict';
import type { RefusalError } from '../../shared/errors.js';
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
      store = new RedisSharedStore(link, { keyPrefix: 'test', answerLimitMs: 500 });
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

    it('sets fields of a map that are absent, and leaves those that are there', async () => {
      await store.setFields('some', { a: '1' }, { a: 'x', b: '2' });
      await store.setFields('some', { c: '3', b: undefined }, { b: 'x', d: '4' });
      assert.deepEqual(Object.fromEntries(await store.fields('some')), { a: '1', c: '3', d: '4' });
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

    /** Replicas that do not hear of each other: no message arrives. */
    const mapsOf = (name: string, ...replicas: string[]) =>
      replicas.map(
        (replica) =>
          new ReplicatedMap({ store, bus: new MemoryBus(replica), log: silentLog }, { name, checkMs: 20 }),
      );

    it('is mirrored by every replica, also by one that does not hear of a change', async () => {
      const changes: string[] = [];
      const maps = mapsOf('switches', 'a', 'b');
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

    it('is given back what the replicas hold when it has lost it, and nothing they do not hold', async () => {
      const [a, b, late] = mapsOf('kept', 'a', 'b', 'late') as [ReplicatedMap, ReplicatedMap, ReplicatedMap];
      assert.ok(!a.isKnown, 'nothing is known before the first reading');
      await a.read();
      assert.ok(a.isKnown);
      await a.set({ mode: 'x', gone: 'y' });
      await a.set({ gone: undefined });
      await until(() => b.get('mode') === 'x', 'b has it');
      await store.delete('kept');
      // Somebody who held nothing writes first.
      await late.set({ other: 'z' });
      for (const map of [a, b, late])
        await until(() => map.get('mode') === 'x' && map.get('other') === 'z', 'all is there again');
      await store.delete('kept');
      await until(async () => (await store.field('kept', 'mode')) === 'x', 'it is given back by itself');
      // What is ended after that stays ended.
      await until(() => [a, b, late].every((map) => map.get('mode') === 'x'), 'all have it');
      await a.set({ mode: undefined });
      for (const map of [a, b, late]) await until(() => map.get('mode') === undefined, 'it is ended');
      for (const map of [a, b, late]) await map.read();
      assert.equal(await store.field('kept', 'mode'), undefined);
      for (const map of [a, b, late]) map.close();
    });

    it('is not written by a replica that was away while others gave back what was lost, and ended it', async () => {
      const [a, away] = mapsOf('lost', 'a', 'away') as [ReplicatedMap, ReplicatedMap];
      await a.set({ mode: 'x' });
      for (const map of [a, away]) await map.read();
      away.close();
      await store.delete('lost');
      await until(async () => (await store.field('lost', 'mode')) === 'x', 'a has given it back');
      await a.set({ mode: undefined });
      await away.read();
      assert.deepEqual([away.get('mode'), await store.field('lost', 'mode')], [undefined, undefined]);
      a.close();
    });

    if (storage === 'redis') {
      it('answers in time that the outcome of a change is unknown, and what is read unavailable', async () => {
        await redis!.signal('SIGSTOP');
        const codeOf = (asked: Promise<unknown>) =>
          asked.then(
            () => 'ok',
            (error: unknown) => (error as RefusalError).code,
          );
        const startMs = performance.now();
        const codes = await Promise.all([
          codeOf(store.setFields('stalled', { a: '1' })),
          codeOf(store.append('stalled list', { a: '1' }, 10)),
          codeOf(store.set('stalled value', '1')),
          codeOf(store.setIfAbsent('stalled lock', '1', 10_000)),
          codeOf(store.delete('map')),
          codeOf(store.fields('map')),
        ]);
        assert.ok(performance.now() - startMs < 2000);
        assert.deepEqual(codes, [...Array<string>(5).fill('outcome_unknown'), 'unavailable']);
        await redis!.signal('SIGCONT');
        assert.ok(await link!.whenUp(5000));
        assert.equal(await store.field('stalled', 'a'), '1', 'which it is: Redis ran what it was sent');
      });
    }
  });
}
