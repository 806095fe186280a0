import assert from 'node:assert/strict';
import { MemorySessionStore } from '../../../server/storage/memory/memory-session-store.js';
import type { RedisCluster } from '../../../server/storage/redis/cluster/redis-cluster.js';
import { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { RedisSessionStore } from '../../../server/storage/redis/redis-session-store.js';
import { leaseOf } from '../../../server/sessions/session-lease.js';
import type { SessionLimits, SessionStore, StoredSession } from '../../../server/sessions/session-store.js';
import { allSessions } from '../../../server/sessions/backup/session-walk.js';
import { silentLog } from '../../../server/logging/log.js';
import { openTestCluster } from '../../support/redis-brokers.js';
import { TestRedisCluster } from '../../support/redis-cluster.js';
import { TestRedis } from '../../support/redis.js';
import { until } from '../../support/wait.js';

const session = (id: string, more: Partial<StoredSession> = {}): StoredSession => ({
  id,
  user_id: 'ann',
  topics: { news: { epoch: 'e1', sequence: 7 } },
  created_at: 1000,
  updated_at: 2000,
  generation: 0,
  owner: null,
  ...more,
});

/** Writes a session, whoever holds it. */
const put = async (store: SessionStore, one: StoredSession, isConnected = false): Promise<void> => {
  const by = leaseOf((await store.get(one.id)) ?? {});
  const written = { ...one, generation: by.generation, owner: isConnected ? 'c@a' : null };
  assert.equal(await store.save(written, by), true);
};

const many = (count: number, more: Partial<StoredSession> = {}) =>
  Array.from({ length: count }, (_, i) => session(`s${i}`, more));

const unlimited: SessionLimits = { userSessions: 0, userBytes: 0 };

async function walk(store: SessionStore): Promise<string[]> {
  const ids: string[] = [];
  for await (const page of allSessions(store)) ids.push(...page.map(({ id }) => id));
  return ids;
}

for (const storage of ['memory', 'redis', 'a Redis Cluster'] as const) {
  describe(`[SESSION STORE] sessions in ${storage}`, () => {
    let redis: TestRedis | undefined;
    let cluster: TestRedisCluster | undefined;
    const links: (RedisLink | RedisCluster)[] = [];
    let store: SessionStore;
    let dropped: [userId: string, count: number][] = [];
    const drops = {
      ofUser: (userId: string, count: number) => void dropped.push([userId, count]),
      forRoom: () => assert.fail('there is room'),
    };

    const open = async (ttlMs: number, limits = unlimited): Promise<SessionStore> => {
      if (redis === undefined && cluster === undefined) {
        const memoryBytes = 1e9;
        return new MemorySessionStore(
          { now: () => performance.now(), drops },
          { ttlMs, limits: { ...limits, memoryBytes } },
        );
      }
      const link =
        cluster === undefined
          ? new RedisLink({ log: silentLog }, { url: redis!.url, commandTimeoutMs: 1000, stallLimitMs: 5000 })
          : openTestCluster(cluster.url);
      links.push(link);
      if (cluster === undefined) link.start();
      assert.ok(await link.whenUp(5000));
      return new RedisSessionStore({ link, drops }, { keyPrefix: 'rtc', ttlMs, limits });
    };

    before(async () => {
      if (storage === 'redis') redis = await TestRedis.start();
      if (storage === 'a Redis Cluster') cluster = await TestRedisCluster.start();
    });
    beforeEach(async () => {
      await redis?.command('FLUSHALL');
      await cluster?.flush();
      dropped = [];
      store = await open(3_600_000);
    });
    afterEach(async () => {
      for (const link of links.splice(0)) await link.close();
    });
    after(() => redis?.stop());
    after(() => cluster?.stop());

    it('returns stored sessions, and their time to live', async () => {
      await put(store, session('a'));
      assert.deepEqual(await store.get('a'), session('a'));
      const found = await store.find('a');
      assert.deepEqual(found, { ...session('a'), expires_in_secs: found?.expires_in_secs });
      assert.ok(found!.expires_in_secs! > 3590 && found!.expires_in_secs! <= 3600);
      assert.deepEqual([await store.get('b'), await store.find('b')], [undefined, undefined]);
    });

    it('removes expired sessions everywhere', async () => {
      const short = await open(40);
      await put(short, session('a'));
      await short.putMany([session('b')], { overwrite: false });
      await until(async () => (await short.count()) === 0, 'they expire');
      assert.deepEqual([await short.get('a'), await short.find('b')], [undefined, undefined]);
      assert.deepEqual(await walk(short), []);
      assert.equal(await short.delete('a'), false);
    });

    it('finds the last sessions of a user whose clients are not connected, and no others', async () => {
      for (const id of ['one', 'two', 'three']) await put(store, session(id));
      await put(store, session('connected'), true);
      await put(store, session('others', { user_id: 'bob' }));
      const idsOf = async (limit: number) => (await store.leftOf('ann', limit)).map(({ id }) => id).sort();
      assert.deepEqual(await idsOf(10), ['one', 'three', 'two']);
      assert.deepEqual(await idsOf(2), ['three', 'two']);
      assert.deepEqual((await store.leftOf('ann', 1))[0]?.topics, session('three').topics);
      await put(store, session('three'), true);
      await store.delete('two');
      assert.deepEqual(await idsOf(10), ['one']);
      assert.deepEqual(await store.leftOf('nobody', 10), []);
    });

    it('deletes sessions', async () => {
      await put(store, session('a'));
      assert.deepEqual([await store.delete('a'), await store.delete('a')], [true, false]);
      assert.equal(await store.get('a'), undefined);
    });

    it('lists all sessions once each, in pages of about the requested size', async () => {
      assert.deepEqual(await walk(store), []);
      assert.deepEqual(await store.putMany(many(3210), { overwrite: false }), { written: 3210, kept: 0 });
      assert.equal(await store.count(), 3210);
      const ids = await walk(store);
      assert.equal(ids.length, 3210);
      assert.equal(new Set(ids).size, 3210);
      const { sessions, next } = await store.page(undefined, 10);
      assert.ok(sessions.length >= 5 && sessions.length <= 20, `${sessions.length} sessions`);
      assert.notEqual(next, undefined);
    });

    it('lists every session that stays, despite concurrent writes and deletions', async () => {
      await store.putMany(many(2000), { overwrite: false });
      const stay = new Set(many(2000).map(({ id }) => id));
      let cursor: string | undefined;
      let round = 0;
      const seen = new Set<string>();
      do {
        const page = await store.page(cursor, 100);
        for (const { id } of page.sessions) seen.add(id);
        cursor = page.next;
        if (++round > 15) continue;
        // The number grows and shrinks, so that Redis resizes its table; listed sessions move to the end of a
        // list.
        for (let i = 0; i < 20; i++) await put(store, session(`s${round * 20 + i}`));
        await store.putMany(
          Array.from({ length: 500 }, (_, i) => session(`new-${round}-${i}`)),
          { overwrite: false },
        );
        for (let i = 0; i < 100; i++) {
          const id = `s${1999 - (round * 100 + i)}`;
          if (!seen.has(id) && stay.delete(id)) await store.delete(id);
        }
      } while (cursor !== undefined);
      for (const id of stay) assert.ok(seen.has(id), `${id} was there all the time`);
    });

    it('keeps the newer of two sessions, unless overwriting is requested', async () => {
      await store.putMany([session('a', { updated_at: 50 }), session('b', { updated_at: 50 })], {
        overwrite: false,
      });
      const older = [session('a', { updated_at: 49, user_id: 'old' }), session('c', { updated_at: 49 })];
      assert.deepEqual(await store.putMany(older, { overwrite: false }), { written: 1, kept: 1 });
      assert.equal((await store.get('a'))?.user_id, 'ann');
      const same = [session('b', { updated_at: 50, user_id: 'same' })];
      assert.deepEqual(await store.putMany(same, { overwrite: false }), { written: 1, kept: 0 });
      assert.equal((await store.get('b'))?.user_id, 'same');
      assert.deepEqual(await store.putMany(older, { overwrite: true }), { written: 2, kept: 0 });
      assert.equal((await store.get('a'))?.user_id, 'old');
      assert.deepEqual(await store.putMany([], { overwrite: false }), { written: 0, kept: 0 });
    });

    it('gives sessions written in bulk the full time to live', async () => {
      await store.putMany([session('a')], { overwrite: false });
      assert.ok((await store.find('a'))!.expires_in_secs! > 3590);
    });

    describe('of a user above the limits', () => {
      const limited = (limits: Partial<SessionLimits>) => open(3_600_000, { ...unlimited, ...limits });
      const large = (id: string, more: Partial<StoredSession> = {}) =>
        session(id, { topics: { [id.padEnd(200, '.')]: { epoch: 'e1', sequence: 7 } }, ...more });

      it('drop the oldest, by number, and touch nobody else’s', async () => {
        store = await limited({ userSessions: 3 });
        await put(store, session('bob', { user_id: 'bob' }));
        for (let i = 0; i < 5; i++) await put(store, session(`s${i}`));
        assert.deepEqual((await walk(store)).sort(), ['bob', 's2', 's3', 's4']);
        // Written again, it is the newest.
        await put(store, session('s2'));
        await put(store, session('s5'));
        assert.deepEqual((await walk(store)).sort(), ['bob', 's2', 's4', 's5']);
        assert.deepEqual(dropped, [
          ['ann', 1],
          ['ann', 1],
          ['ann', 1],
        ]);
      });

      it('drop the oldest, by bytes, as many as are needed', async () => {
        store = await limited({ userBytes: 3000 });
        await put(store, large('bob', { user_id: 'bob' }));
        for (let i = 0; i < 100; i++) await put(store, large(`s${i}`));
        const ids = await walk(store);
        assert.ok(
          ids.includes('bob') && ids.includes('s99') && ids.length >= 4 && ids.length <= 7,
          String(ids),
        );
        // More topics in the same session count too, and fewer again give room.
        const topics = Object.fromEntries(
          Array.from({ length: 15 }, (_, i) => [`${i}`.padEnd(100), { epoch: 'e', sequence: 1 }]),
        );
        await put(store, session('s99', { topics }));
        assert.ok((await walk(store)).length < ids.length);
        for (let i = 0; i < 3; i++) await put(store, session('s99'));
        await put(store, session('t0'));
        await put(store, session('t1'));
        const left = await walk(store);
        assert.ok(
          ['bob', 's99', 't0', 't1'].every((id) => left.includes(id)),
          String(left),
        );
      });

      it('never drop a session whose client is connected, and count it when it has left', async () => {
        store = await limited({ userSessions: 2 });
        for (let i = 0; i < 5; i++) await put(store, session(`live${i}`), true);
        for (let i = 0; i < 5; i++) await put(store, session(`s${i}`));
        assert.deepEqual((await walk(store)).sort(), [
          'live0',
          'live1',
          'live2',
          'live3',
          'live4',
          's3',
          's4',
        ]);
        // One is resumed, and is safe; the others take its place.
        await put(store, session('s3'), true);
        for (let i = 5; i < 8; i++) await put(store, session(`s${i}`));
        for (let i = 0; i < 5; i++) await put(store, session(`live${i}`));
        assert.deepEqual((await walk(store)).sort(), ['live3', 'live4', 's3']);
      });

      it('drop what is restored beyond them, and restore those of other users', async () => {
        store = await limited({ userSessions: 10 });
        await store.putMany(many(250), { overwrite: false });
        await store.putMany([session('bob', { user_id: 'bob' })], { overwrite: false });
        const ids = await walk(store);
        assert.equal(ids.length, 11);
        assert.ok(ids.includes('s249') && ids.includes('bob'), String(ids));
        assert.equal(
          dropped.reduce((sum, [, count]) => sum + count, 0),
          240,
        );
      });

      it('leave a session alone that belongs to another user meanwhile', async () => {
        store = await limited({ userSessions: 1 });
        await put(store, session('a'));
        await store.putMany([session('a', { user_id: 'bob "the" user', updated_at: 3000 })], {
          overwrite: true,
        });
        await put(store, session('b'));
        await put(store, session('c'));
        assert.equal((await store.get('a'))?.user_id, 'bob "the" user');
        await put(store, session('d', { user_id: 'bob "the" user' }));
        assert.deepEqual((await walk(store)).sort(), ['c', 'd']);
      });

      it('have all their places again when the earlier ones have expired', async () => {
        const short = await open(40, { ...unlimited, userSessions: 3 });
        for (let i = 0; i < 3; i++) await put(short, session(`s${i}`));
        await until(async () => (await short.count()) === 0, 'they expire');
        // All at once: in forty milliseconds they expire again.
        await Promise.all([0, 1, 2].map((i) => put(short, session(`t${i}`))));
        assert.deepEqual(dropped, []);
      });
    });
  });
}

describe('[SESSION STORE] a Redis with keys of other programs', () => {
  let redis: TestRedis;
  let link: RedisLink;
  let store: RedisSessionStore;

  before(async () => {
    redis = await TestRedis.start();
    link = new RedisLink({ log: silentLog }, { url: redis.url, commandTimeoutMs: 1000, stallLimitMs: 5000 });
    link.start();
    assert.ok(await link.whenUp(5000));
    store = new RedisSessionStore({ link }, { keyPrefix: 'rtc', ttlMs: 3_600_000, limits: unlimited });
  });
  after(async () => {
    await link.close();
    await redis.stop();
  });
  beforeEach(() => redis.command('FLUSHALL'));

  it('counts and skips values that are not sessions', async () => {
    await put(store, session('good'));
    await link.call(['SET', 'rtc:session:text', 'hello']);
    await link.call(['SET', 'rtc:session:empty', '{}']);
    await link.call(['SET', 'rtc:session:other', JSON.stringify(session('another id'))]);
    await link.call(['LPUSH', 'rtc:session:list', 'x']);
    await link.call(['SET', 'elsewhere', JSON.stringify(session('elsewhere'))]);
    let malformed = 0;
    const ids: string[] = [];
    for await (const page of allSessions(store, (count) => (malformed += count)))
      ids.push(...page.map(({ id }) => id));
    assert.deepEqual([ids, malformed], [['good'], 4]);
    for (const id of ['text', 'empty', 'other']) assert.equal(await store.get(id), undefined, id);
    assert.deepEqual(await store.putMany([session('text'), session('list')], { overwrite: false }), {
      written: 2,
      kept: 0,
    });
    assert.deepEqual(await store.get('list'), session('list'));
  });

  it('reads sessions that have only a list of topics, and sessions without expiry', async () => {
    await link.call(['SET', 'session:x', JSON.stringify({ id: 'x', user_id: 'bob', topics: ['news'] })]);
    assert.deepEqual(await store.find('x'), {
      id: 'x',
      user_id: 'bob',
      topics: { news: { epoch: 'unknown', sequence: 0 } },
      created_at: 0,
      updated_at: 0,
      expires_in_secs: null,
    });
  });

  it('keeps no trace of a user whose clients are all connected, and lets every key expire', async () => {
    await put(store, session('a'));
    await put(store, session('b'));
    const keys = async () => (await link.call<string[]>(['KEYS', '*'])).sort();
    assert.deepEqual(await keys(), [
      'rtc:session:a',
      'rtc:session:b',
      'rtc:sessions:{ann}',
      'rtc:sessions:{ann}:bytes',
    ]);
    for (const key of await keys()) assert.ok((await link.call<number>(['PTTL', key])) > 0, key);
    for (const id of ['a', 'b']) await put(store, session(id), true);
    assert.deepEqual(await keys(), ['rtc:session:a', 'rtc:session:b']);
  });

  it('lives with sessions that replicas of version 0.1 have written or removed', async () => {
    const limits = { userSessions: 2, userBytes: 0 };
    const limited = new RedisSessionStore({ link }, { keyPrefix: 'rtc', ttlMs: 3_600_000, limits });
    const old = (id: string) =>
      link.call(['SET', `session:${id}`, JSON.stringify(session(id)), 'PX', '60000']);
    for (let i = 0; i < 4; i++) await old(`old${i}`);
    for (const id of ['a', 'b']) await put(limited, session(id));
    await link.call(['DEL', 'rtc:session:a']);
    await old('b');
    for (const id of ['c', 'd', 'old0']) await put(limited, session(id));
    assert.deepEqual((await walk(limited)).sort(), ['b', 'd', 'old0', 'old1', 'old2', 'old3']);
  });

  it('reports that Redis is unreachable, also during a listing', async () => {
    const outcome = store.putMany(many(20_000), { overwrite: false }).then(
      () => 'written',
      (error: { code?: string }) => error.code,
    );
    await redis.signal('SIGKILL');
    assert.equal(await outcome, 'unavailable');
    await until(() => link.state === 'down', 'the link is down');
    await assert.rejects(store.page(undefined, 10), { code: 'unavailable' });
    await assert.rejects(store.count(), { code: 'unavailable' });
    await assert.rejects(store.delete('a'), { code: 'unavailable' });
  });
});
