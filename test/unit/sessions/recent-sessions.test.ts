import assert from 'node:assert/strict';
import { RecentSessions } from '../../../server/sessions/recent-sessions.js';
import type { HeldLease } from '../../../server/sessions/session-lease.js';
import type { StoredSession } from '../../../server/sessions/session-store.js';
import { MemorySessionStore } from '../../../server/storage/memory/memory-session-store.js';

const limits = { userSessions: 100, userBytes: 1_000_000, memoryBytes: 1_000_000 };
const lease: HeldLease = { generation: 3, owner: 'c@one' };

function session(
  sequence: number,
  { generation, owner }: { generation: number; owner: string | null },
): StoredSession {
  const topics = { t: { epoch: 'e', sequence } };
  return { id: 's', user_id: 'ann', topics, created_at: 1, updated_at: 1, generation, owner };
}

describe('[SESSION] sessions whose connections have left', () => {
  let store: MemorySessionStore;
  let recent: RecentSessions;
  const storedAt = async () => (await store.get('s'))?.topics['t']?.sequence;
  const left = session(9, { ...lease, owner: null });

  beforeEach(() => {
    store = new MemorySessionStore({ now: () => performance.now() }, { ttlMs: 60_000, limits });
    recent = new RecentSessions(store);
    recent.add(left, lease);
  });

  it('are written again to a store that has an earlier state of them', async () => {
    // The connection holds it there, or has not even claimed it.
    for (const earlier of [lease, { generation: 2, owner: null }]) {
      await store.delete('s');
      await store.save(session(1, earlier), { generation: earlier.generation, owner: earlier.owner });
      await recent.restore();
      assert.equal(await storedAt(), 9);
      assert.equal((await store.get('s'))?.owner, null);
    }
  });

  it('are not written if somebody has claimed them since, or if they are gone', async () => {
    await recent.restore();
    assert.equal(await storedAt(), undefined);
    const next = { generation: 4, owner: 'd@two' };
    await store.save(session(20, next), next);
    assert.equal(await recent.yield('s'), false);
    assert.equal(await recent.yield('other'), null, 'nobody can say');
    assert.equal(await storedAt(), 20);
  });

  it('are given to the connection that asks for one, if the store does not take it', async () => {
    const write = { get: () => Promise.resolve(left), save: () => Promise.reject(new Error('away')) };
    recent = new RecentSessions(write);
    recent.add(left, lease);
    assert.deepEqual(await recent.yield('s'), { unwritten: left });
  });

  it('are kept while they take little memory, the last ones first', async () => {
    const topics = Object.fromEntries(
      Array.from({ length: 1000 }, (_, n) => [`${'t'.repeat(200)}${n}`, { epoch: 'e', sequence: 9 }]),
    );
    const written: string[] = [];
    recent = new RecentSessions({
      get: () => Promise.resolve(left),
      save: ({ id }) => Promise.resolve(written.push(id) > 0),
    });
    recent.add(left, lease);
    // A hundred of them take more than 16 MiB.
    for (let n = 0; n < 100; n++) recent.add({ ...left, id: `large-${n}`, topics }, lease);
    await recent.restore();
    assert.ok(written.length > 10 && written.length < 60, `${written.length}`);
    assert.equal(written.at(-1), 'large-99');
    assert.ok(!written.includes('s'));
  });
});
