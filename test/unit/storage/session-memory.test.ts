import assert from 'node:assert/strict';
import { newQuotaCounts } from '../../../server/limits/quota-counts.js';
import { silentLog } from '../../../server/logging/log.js';
import { DroppedSessions } from '../../../server/sessions/dropped-sessions.js';
import type { StoredSession } from '../../../server/sessions/session-store.js';
import { MemorySessionStore } from '../../../server/storage/memory/memory-session-store.js';

const session = (id: string, userId: string, topics = 1): StoredSession => ({
  id,
  user_id: userId,
  topics: Object.fromEntries(
    Array.from({ length: topics }, (_, i) => [`${i}`.padEnd(100), { epoch: 'e', sequence: i }]),
  ),
  created_at: 1,
  updated_at: 1,
});

describe('[S5.3] the memory of sessions without Redis', () => {
  const limits = { userSessions: 100, userBytes: 0, memoryBytes: 100_000 };
  let now: number;
  let warnings: { message: string; fields: Record<string, unknown> | undefined }[];
  let counts: ReturnType<typeof newQuotaCounts>;
  let store: MemorySessionStore;

  beforeEach(() => {
    now = 1000;
    warnings = [];
    counts = newQuotaCounts();
    const log = {
      ...silentLog,
      warn: (message: string, fields?: object) => warnings.push({ message, fields: { ...fields } }),
    };
    const drops = new DroppedSessions({ counts, log, now: () => now }, limits);
    store = new MemorySessionStore({ now: () => now, drops }, { ttlMs: 10_000, limits });
  });

  const put = (one: StoredSession, isConnected = false) => {
    const lease = { generation: 1, owner: isConnected ? 'c@a' : null };
    return store.save({ ...one, ...lease }, lease);
  };
  const idsOf = async (userId: string) =>
    (await store.page(undefined, 10_000)).sessions
      .filter((kept) => kept.user_id === userId)
      .map(({ id }) => id);

  it('drops the oldest sessions of the users with most of it, and says so once', async () => {
    for (let i = 0; i < 10; i++) await put(session(`small${i}`, 'ann'));
    await put(session('live', 'mallory', 10), true);
    for (let i = 0; i < 99; i++) await put(session(`large${i}`, 'mallory', 10));
    assert.equal((await idsOf('ann')).length, 10);
    const left = await idsOf('mallory');
    assert.ok(left.includes('live') && left.includes('large98') && !left.includes('large0'), String(left));
    assert.ok(left.length > 20 && left.length < 50, `${left.length}`);
    assert.equal(counts.sessionMemory, 100 - left.length);
    assert.equal(counts.userSessions, 0);
    assert.deepEqual(
      warnings.map(({ message }) => message),
      ['The memory of sessions is full: the oldest of the users with most of it are dropped'],
    );
    assert.match(String(warnings[0]!.fields?.['remedy']), /sessions\.memory_bytes/);
  });

  it('is free again when sessions expire, are resumed or deleted', async () => {
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 60; i++) await put(session(`${round}.${i}`, `user${i}`, 5));
      for (let i = 0; i < 20; i++) await store.delete(`${round}.${i}`);
      for (let i = 20; i < 40; i++) await put(session(`${round}.${i}`, `user${i}`, 5), true);
      now += 10_001;
      assert.equal(await store.count(), 0);
    }
    assert.deepEqual([counts.sessionMemory, warnings.length], [0, 0]);
  });

  it('has a share for each user, above which the operator is told once an hour who it is', async () => {
    for (let i = 0; i < 105; i++) await put(session(`s${i}`, 'ann', 0));
    assert.equal(counts.userSessions, 5);
    assert.deepEqual(
      warnings.map(({ fields }) => fields?.['user_id']),
      ['ann'],
    );
    assert.match(String(warnings[0]!.fields?.['remedy']), /sessions\.max_per_user/);
    now += 3_600_001;
    for (let i = 0; i < 105; i++) await put(session(`t${i}`, 'bob', 0));
    assert.deepEqual(
      warnings.map(({ fields }) => fields?.['user_id']),
      ['ann', 'bob'],
    );
  });
});
