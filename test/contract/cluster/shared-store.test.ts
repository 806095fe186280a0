import assert from 'node:assert/strict';
import type { RefusalError } from '../../../shared/errors.js';
import { MemorySharedStore } from '../../../server/storage/memory/memory-shared-store.js';
import type { RedisCluster } from '../../../server/storage/redis/cluster/redis-cluster.js';
import { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { RedisSharedStore } from '../../../server/storage/redis/redis-shared-store.js';
import { ReplicatedMap } from '../../../server/cluster/replicated-map.js';
import type { SharedStore, TimestampedEntry } from '../../../server/cluster/shared-store.js';
import { MemoryBus } from '../../../server/storage/memory/memory-bus.js';
import { silentLog, type Log } from '../../../server/logging/log.js';
import { openTestCluster } from '../../support/redis-brokers.js';
import { TestRedisCluster } from '../../support/redis-cluster.js';
import { TestRedis } from '../../support/redis.js';
import { until } from '../../support/wait.js';

const stallLimitMs = 5000;

for (const storage of ['memory', 'redis', 'a Redis Cluster'] as const) {
  describe(`[STORE] shared state in ${storage}`, () => {
    let store: SharedStore;
    let redis: TestRedis | undefined;
    let cluster: TestRedisCluster | undefined;
    let link: RedisLink | RedisCluster | undefined;
    before(async () => {
      if (storage === 'memory') {
        store = new MemorySharedStore({ now: Date.now });
        return;
      }
      if (storage === 'redis') {
        redis = await TestRedis.start();
        link = new RedisLink({ log: silentLog }, { url: redis.url, commandTimeoutMs: 1000, stallLimitMs });
        link.start();
      } else {
        cluster = await TestRedisCluster.start();
        link = openTestCluster(cluster.url);
      }
      assert.ok(await link.whenUp(5000));
      store = new RedisSharedStore({ link, log: silentLog }, { keyPrefix: 'rtc', answerLimitMs: 500 });
    });
    after(async () => {
      await link?.close();
      await redis?.stop();
      await cluster?.stop();
    });

    it('keeps values until they expire', async () => {
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

    it('stores only the first of several concurrent values', async () => {
      const won = await Promise.all([1, 2, 3, 4].map((n) => store.setIfAbsent('race', String(n), 10_000)));
      assert.deepEqual(won, [true, false, false, false]);
      assert.equal(await store.get('race'), '1');
    });

    it('replaces a value only while it is the one that the caller has read', async () => {
      assert.equal(await store.replace('record', '', 'x', 10_000), false, 'there is none');
      assert.equal(await store.get('record'), undefined);
      await store.set('record', 'a', 10_000);
      const replaced = await Promise.all(
        ['b', 'c'].map((value) => store.replace('record', 'a', value, 10_000)),
      );
      assert.deepEqual(replaced, [true, false]);
      assert.equal(await store.get('record'), 'b');
      assert.equal(await store.replace('record', 'b', 'é\0 "', 40), true);
      assert.equal(await store.replace('record', 'b', 'x', 10_000), false);
      await until(async () => (await store.get('record')) === undefined, 'the new value expires');
    });

    /** The stored value of a field: `undefined` if it was removed or was never there. */
    const valueOf = async (key: string, field: string) =>
      (await store.readFields(key)).fields.get(field)?.value;
    const entriesOf = async (key: string): Promise<TimestampedEntry[]> =>
      [...(await store.readFields(key)).fields].map(([field, timestamped]) => ({ field, ...timestamped }));

    it('writes fields of a map in one step, with one timestamp that is greater than those before', async () => {
      const startMicros = Date.now() * 1000;
      const first = await store.writeFields('map', { a: '1', b: '2', 'c:d': ' x  y\nz ', e: '' });
      assert.ok(first >= startMicros && first <= (Date.now() + 1000) * 1000, 'microseconds since 1970');
      assert.equal(await store.fieldsVersion('map'), String(first));
      const second = await store.writeFields('map', { a: undefined, b: '3', none: undefined });
      assert.ok(second > first);
      const { version, fields } = await store.readFields('map');
      assert.deepEqual([version, await store.fieldsVersion('map')], [String(second), String(second)]);
      assert.deepEqual(Object.fromEntries(fields), {
        a: { timestamp: second, value: undefined },
        b: { timestamp: second, value: '3' },
        'c:d': { timestamp: first, value: ' x  y\nz ' },
        e: { timestamp: first, value: '' },
        none: { timestamp: second, value: undefined },
      });
      const nothing = await store.readFields('nothing');
      assert.deepEqual([nothing.version, nothing.fields.size], [undefined, 0]);
      assert.equal(await store.fieldsVersion('nothing'), undefined);
    });

    it('makes timestamps greater than those the caller has seen or restored, even if its own clock is slow', async () => {
      const aheadMicros = (Date.now() + 60_000) * 1000;
      const timestamp = await store.writeFields('ahead', { a: '1' }, aheadMicros);
      assert.equal(timestamp, aheadMicros + 1);
      assert.ok((await store.writeFields('ahead', { b: '1' })) > timestamp);
      await store.restoreFields('restored', [{ field: 'a', timestamp: aheadMicros, value: '1' }]);
      assert.ok((await store.writeFields('restored', { a: '2' })) > aheadMicros);
    });

    it('restores absent and older fields, and makes a new version only if there were some', async () => {
      const timestamp = await store.writeFields('some', { kept: '1', removed: undefined });
      const older = [
        { field: 'kept', timestamp: timestamp - 1, value: 'x' },
        { field: 'removed', timestamp: timestamp - 1, value: 'x' },
        { field: 'kept', timestamp, value: 'x' },
      ];
      await store.restoreFields('some', older);
      await store.restoreFields('some', []);
      assert.equal(await store.fieldsVersion('some'), String(timestamp));
      const newer = [
        { field: 'kept', timestamp: timestamp + 1, value: undefined },
        { field: 'absent', timestamp: 5, value: '' },
        { field: 'gone', timestamp: 6, value: undefined },
      ];
      await store.restoreFields('some', [...older, ...newer]);
      assert.ok(Number(await store.fieldsVersion('some')) > timestamp + 1);
      const entries = await entriesOf('some');
      assert.deepEqual(
        new Set(entries.map((entry) => JSON.stringify(entry))),
        new Set(
          [...newer, { field: 'removed', timestamp, value: undefined }].map((entry) => JSON.stringify(entry)),
        ),
      );
    });

    it('deletes tombstones that still have the given timestamp', async () => {
      const timestamp = await store.writeFields('past', { a: undefined, b: undefined, c: '1' });
      const later = await store.writeFields('past', { b: '2' });
      await store.forgetFields('past', [
        { field: 'a', timestamp },
        { field: 'b', timestamp },
        { field: 'none', timestamp },
      ]);
      assert.deepEqual(
        (await entriesOf('past')).map(({ field }) => field).sort(),
        ['b', 'c'],
        'a is gone, b was written since',
      );
      assert.equal(await store.fieldsVersion('past'), String(later));
    });

    it('keeps about the newest records of a list, and returns them newest first, in pages', async () => {
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

    /** Replicas that do not receive each other's messages. */
    const mapsOf = (name: string, ...replicas: string[]) =>
      replicas.map(
        (replica) =>
          new ReplicatedMap({ store, bus: new MemoryBus(replica), log: silentLog }, { name, checkMs: 20 }),
      );

    it('is mirrored by every replica, even if a replica misses the message about a change', async () => {
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

    it('is restored from the replicas after a loss, with exactly the fields that they hold', async () => {
      const [a, b, late] = mapsOf('kept', 'a', 'b', 'late') as [ReplicatedMap, ReplicatedMap, ReplicatedMap];
      assert.throws(() => a.checkKnown('what is set'), { code: 'unavailable' });
      assert.equal(a.isKnown, false);
      await a.read();
      assert.equal(a.isKnown, true);
      a.checkKnown('what is set');
      await a.set({ mode: 'x', gone: 'y' });
      await a.set({ gone: undefined });
      await until(() => b.get('mode') === 'x', 'b has it');
      await store.delete('kept');
      // A replica that holds nothing writes first.
      await late.set({ other: 'z' });
      for (const map of [a, b, late])
        await until(() => map.get('mode') === 'x' && map.get('other') === 'z', 'all fields are restored');
      await store.delete('kept');
      await until(async () => (await valueOf('kept', 'mode')) === 'x', 'it is restored without a write');
      // A removal after that is final.
      await until(() => [a, b, late].every((map) => map.get('mode') === 'x'), 'all have it');
      await a.set({ mode: undefined });
      for (const map of [a, b, late]) await until(() => map.get('mode') === undefined, 'it is removed');
      for (const map of [a, b, late]) await map.read();
      assert.equal(await valueOf('kept', 'mode'), undefined);
      for (const map of [a, b, late]) map.close();
    });

    it('keeps a removal that other replicas made after a restore, when a replica reconnects with the old value', async () => {
      const [a, absent] = mapsOf('lost', 'a', 'absent') as [ReplicatedMap, ReplicatedMap];
      await a.set({ mode: 'x' });
      for (const map of [a, absent]) await map.read();
      absent.close();
      await store.delete('lost');
      await until(async () => (await valueOf('lost', 'mode')) === 'x', 'a has restored it');
      await a.set({ mode: undefined });
      await absent.read();
      assert.deepEqual([absent.get('mode'), await valueOf('lost', 'mode')], [undefined, undefined]);
      a.close();
    });

    /** As {@link mapsOf}, but they check the store only when the test says so. */
    const quietMapsOf = (name: string, ...replicas: string[]) =>
      replicas.map((replica) => quietMap(name, { replica }));
    const quietMap = (name: string, given: { replica?: string; log?: Log } = {}) =>
      new ReplicatedMap(
        { store, bus: new MemoryBus(given.replica ?? 'a'), log: given.log ?? silentLog },
        { name, checkMs: 3_600_000 },
      );
    /** Puts the store back to earlier entries, as a restart from a snapshot does. */
    const backTo = async (key: string, entries: readonly TimestampedEntry[]) => {
      await store.delete(key);
      await store.restoreFields(key, entries);
    };

    it('keeps a removal made right after the store was emptied, although other replicas hold the value', async () => {
      const maps = quietMapsOf('emptied', 'a', 'b', 'c') as [ReplicatedMap, ReplicatedMap, ReplicatedMap];
      const [a, b, c] = maps;
      await a.set({ mode: 'x', other: 'y' });
      for (const map of maps) await map.read();
      await store.delete('emptied');
      await a.set({ mode: undefined });
      for (const map of [b, c, a, b, c]) await map.read();
      for (const map of maps) assert.deepEqual([...map.entries()], [['other', 'y']]);
      assert.deepEqual(
        [await valueOf('emptied', 'mode'), await valueOf('emptied', 'other')],
        [undefined, 'y'],
      );
      const fresh = quietMap('emptied');
      await fresh.read();
      assert.deepEqual([...fresh.entries()], [['other', 'y']]);
      for (const map of [...maps, fresh]) map.close();
    });

    it('restores newer values and removals when the store comes back in an older state', async () => {
      const [a, b] = mapsOf('older', 'a', 'b') as [ReplicatedMap, ReplicatedMap];
      await a.set({ changed: 'old', removed: 'old', same: '' });
      await until(() => b.size === 3, 'b has it');
      const snapshot = await entriesOf('older');
      await b.set({ changed: 'new', removed: undefined, added: 'new' });
      await until(() => a.get('added') === 'new', 'a has it');
      const changes: string[] = [];
      for (const map of [a, b]) map.onChange((field, value) => changes.push(`${field}=${value}`));
      await backTo('older', snapshot);
      await until(async () => (await valueOf('older', 'added')) === 'new', 'it is restored');
      const expected = { changed: 'new', same: '', added: 'new' };
      const fresh = quietMap('older');
      await fresh.read();
      for (const map of [a, b, fresh]) assert.deepEqual(Object.fromEntries(map.entries()), expected);
      assert.deepEqual(changes, [], 'no listener is notified');
      for (const map of [a, b, fresh]) map.close();
    });

    it('loses no value and restores no removed one when the store is emptied twice in a row', async () => {
      const [a, b] = quietMapsOf('twice', 'a', 'b') as [ReplicatedMap, ReplicatedMap];
      await a.set({ mode: 'x', kept: 'y' });
      await b.read();
      await store.delete('twice');
      await a.set({ mode: undefined });
      await store.delete('twice');
      await b.read();
      assert.equal(await valueOf('twice', 'mode'), 'x', 'b has not received the removal yet');
      await a.read();
      await b.read();
      for (const map of [a, b]) assert.deepEqual([...map.entries()], [['kept', 'y']]);
      await b.set({ added: 'z' });
      await store.delete('twice');
      await a.read();
      await store.delete('twice');
      for (const map of [a, b, a]) await map.read();
      for (const map of [a, b])
        assert.deepEqual(Object.fromEntries(map.entries()), { kept: 'y', added: 'z' });
      for (const map of [a, b]) map.close();
    });

    it('restores a value that only one replica received, even if another replica restores first', async () => {
      const [a, b] = quietMapsOf('alone', 'a', 'b') as [ReplicatedMap, ReplicatedMap];
      await a.set({ mode: 'old', removed: 'old' });
      await b.read();
      await a.set({ mode: 'new', removed: undefined, added: 'new' });
      await store.delete('alone');
      await b.read();
      assert.equal(await valueOf('alone', 'mode'), 'old');
      await a.read();
      await b.read();
      for (const map of [a, b])
        assert.deepEqual(Object.fromEntries(map.entries()), { mode: 'new', added: 'new' });
      for (const map of [a, b]) map.close();
    });

    it('repeats a failed restore at a later check, and logs one warning', async () => {
      const warnings: string[] = [];
      const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
      const a = new ReplicatedMap({ store, bus: new MemoryBus('a'), log }, { name: 'refusing', checkMs: 20 });
      await a.set({ mode: 'x' });
      await a.read();
      const restore = store.restoreFields.bind(store);
      let refused = 0;
      store.restoreFields = () => (refused++, Promise.reject(new Error('read only')));
      try {
        await store.delete('refusing');
        await until(() => refused > 2, 'it is tried again');
      } finally {
        store.restoreFields = restore;
      }
      await until(async () => (await valueOf('refusing', 'mode')) === 'x', 'it is restored');
      assert.equal(warnings.length, 1);
      a.close();
    });

    it('does not take a change during a read for an emptied store', async () => {
      const warnings: string[] = [];
      const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
      const a = quietMap('under way', { log });
      await a.set({ before: 'x' });
      const readFields = store.readFields.bind(store);
      store.readFields = async (key) => {
        store.readFields = readFields;
        const found = await readFields(key);
        await a.set({ during: 'y', before: undefined });
        return found;
      };
      await a.read();
      assert.deepEqual([...a.entries()], [['during', 'y']]);
      await a.read();
      assert.deepEqual([[...a.entries()], warnings], [[['during', 'y']], []]);
      a.close();
    });

    it('lets a new value win although the clock is behind that of the previous store', async () => {
      const [a, b] = quietMapsOf('behind', 'a', 'b') as [ReplicatedMap, ReplicatedMap];
      await store.restoreFields('behind', [
        { field: 'mode', timestamp: (Date.now() + 60_000) * 1000, value: 'x' },
      ]);
      for (const map of [a, b]) await map.read();
      await store.delete('behind');
      await a.set({ mode: undefined });
      for (const map of [b, a]) await map.read();
      for (const map of [a, b]) assert.equal(map.get('mode'), undefined);
      assert.equal(await valueOf('behind', 'mode'), undefined);
      for (const map of [a, b]) map.close();
    });

    it('has the same value on all replicas after several concurrent writes, and notifies listeners once of each', async () => {
      const maps = mapsOf('at once', 'a', 'b', 'c');
      const changes: string[][] = maps.map(() => []);
      maps.forEach((map, i) => map.onChange((_, value) => changes[i]!.push(String(value))));
      for (let round = 0; round < 20; round++)
        await Promise.all(maps.map((map, i) => map.set({ mode: `${round}-${i}` })));
      const stored = await valueOf('at once', 'mode');
      await until(() => maps.every((map) => map.get('mode') === stored), 'all agree');
      for (const map of maps) await map.read();
      maps.forEach((map, i) => {
        assert.equal(map.get('mode'), stored);
        assert.equal(changes[i]!.at(-1), stored);
        assert.equal(new Set(changes[i]).size, changes[i]!.length, 'no tombstone is restored');
      });
      for (const map of maps) map.close();
    });

    it('deletes a tombstone after a day, and no replica writes the value back then', async () => {
      let passedMs = 0;
      const now = () => Date.now() + passedMs;
      const mapAt = (replica: string, checkMs: number) =>
        new ReplicatedMap(
          { store, bus: new MemoryBus(replica), log: silentLog, now },
          { name: 'day', checkMs },
        );
      const a = mapAt('a', 20);
      const holds = mapAt('b', 3_600_000);
      await a.set({ gone: 'x', kept: 'y' });
      await a.set({ gone: undefined });
      await holds.read();
      const has = async () => (await store.readFields('day')).fields.has('gone');
      passedMs = 86_000_000;
      await store.delete('day');
      await until(has, 'before that, it is written back');
      await holds.read();
      passedMs = 86_400_000 + 600_000;
      await until(async () => !(await has()), 'it is deleted');
      const version = await store.fieldsVersion('day');
      await holds.read();
      assert.deepEqual([await has(), await store.fieldsVersion('day')], [false, version]);
      await store.delete('day');
      await holds.read();
      await until(async () => (await valueOf('day', 'kept')) === 'y', 'the rest is restored');
      assert.ok(!(await has()));
      for (const map of [a, holds]) {
        await map.read();
        assert.deepEqual([...map.entries()], [['kept', 'y']]);
        map.close();
      }
    });

    if (storage === 'redis') {
      it('reads values written without timestamps, as older than all others', async () => {
        const stored = ['mode', '{"value":1}', '#version', 'a-1-0', '#origin', 'a-1-0'];
        await link!.call(['HSET', 'rtc:unstamped', ...stored]);
        const a = quietMap('unstamped');
        await a.read();
        assert.deepEqual([...a.entries()], [['mode', '{"value":1}']]);
        await a.set({ other: 'y' });
        await a.set({ mode: undefined });
        const fresh = quietMap('unstamped');
        await fresh.read();
        assert.deepEqual([...fresh.entries()], [['other', 'y']]);
        for (const map of [a, fresh]) map.close();
      });

      it('restores newer values when the same old hash comes back', async () => {
        const maps = mapsOf('snapshot', 'a', 'b');
        await maps[0]!.set({ mode: 'x' });
        await link!.call(['COPY', 'rtc:snapshot', 'rtc:snapshot before']);
        await maps[0]!.set({ mode: undefined, 'token:1': 'revoked' });
        await until(() => maps.every((map) => map.get('token:1') === 'revoked'), 'all have it');
        await link!.call(['RENAME', 'rtc:snapshot before', 'rtc:snapshot']);
        await until(async () => (await valueOf('snapshot', 'token:1')) === 'revoked', 'it is restored');
        assert.equal(await valueOf('snapshot', 'mode'), undefined);
        for (const map of maps) {
          await map.read();
          assert.deepEqual([...map.entries()], [['token:1', 'revoked']]);
          map.close();
        }
      });

      it('answers in time that the outcome of a change is unknown, and that reads are unavailable', async () => {
        await redis!.signal('SIGSTOP');
        const codeOf = (asked: Promise<unknown>) =>
          asked.then(
            () => 'ok',
            (error: unknown) => (error as RefusalError).code,
          );
        const startAt = performance.now();
        const codes = await Promise.all([
          codeOf(store.writeFields('stalled', { a: '1' })),
          codeOf(store.restoreFields('restored', [{ field: 'b', timestamp: 1, value: '1' }])),
          codeOf(store.forgetFields('restored', [])),
          codeOf(store.append('stalled list', { a: '1' }, 10)),
          codeOf(store.set('stalled value', '1')),
          codeOf(store.setIfAbsent('stalled lock', '1', 10_000)),
          codeOf(store.replace('stalled value', '1', '2', 10_000)),
          codeOf(store.delete('map')),
          codeOf(store.readFields('map')),
          codeOf(store.fieldsVersion('map')),
        ]);
        assert.ok(performance.now() - startAt < 2000);
        assert.deepEqual(codes, [...Array<string>(8).fill('outcome_unknown'), 'unavailable', 'unavailable']);
        await redis!.signal('SIGCONT');
        assert.ok(await link!.whenUp(30_000));
        assert.equal(await valueOf('stalled', 'a'), '1', 'Redis has run the write');
      });
    }
  });
}
