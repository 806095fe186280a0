import assert from 'node:assert/strict';
import { SessionClaims } from '../../../server/sessions/session-claims.js';
import { hasReached, reachedUnknown } from '../../../server/topics/start-position.js';
import { NoRoomError, type StoredSession } from '../../../server/sessions/session-store.js';
import { MemorySessionStore } from '../../../server/storage/memory/memory-session-store.js';

const held: StoredSession = {
  ...{ id: 's', user_id: 'ann', topics: {}, created_at: 1, updated_at: 1 },
  ...{ generation: 1, owner: 'c@a' },
};
const position = { epoch: 'e', sequence: 1 };

/** A store that takes no sessions while it is full. */
class FullStore extends MemorySessionStore {
  isFull = false;

  override async save(...args: Parameters<MemorySessionStore['save']>): Promise<boolean> {
    if (this.isFull) throw new NoRoomError('full');
    return super.save(...args);
  }
}

describe('[SESSION] the claim of a session that its holder cannot write', () => {
  const claimed = async (isFull: boolean) => {
    const store = new FullStore({ now: () => 0 }, { ttlMs: 60_000 });
    await store.save(held, { generation: 1, owner: 'c@a' });
    store.isFull = isFull;
    const unwritten = { ...held, topics: { a: position } };
    const claims = new SessionClaims({ store, keepsSession: async () => ({ unwritten }) });
    const claim = await claims.claim('s', 'ann', 'd@b');
    assert.ok(claim.outcome === 'resumed');
    assert.deepEqual(claim.session.topics, { a: position });
    return store;
  };

  it('is stored with what the holder has', async () => {
    const store = await claimed(false);
    assert.deepEqual((await store.get('s'))?.topics, { a: position });
  });

  it('leaves no earlier state that could be resumed if the new replica ends too', async () => {
    const store = await claimed(true);
    assert.equal(await store.get('s'), undefined);
    store.isFull = false;
    const whole = { ...held, topics: { a: position }, generation: 2, owner: 'd@b' };
    assert.equal(
      await store.save(whole, { generation: 2, owner: 'd@b' }),
      true,
      'the new holder writes it later',
    );
  });
});

describe('[P5.4] the claim of a session whose holder cannot be asked', () => {
  it('does not know what the client has received last: anything in the epoch of its position', async () => {
    const store = new MemorySessionStore({ now: () => 0 }, { ttlMs: 60_000 });
    const topics = { constructor: position, b: position };
    const reached = { b: { epoch: 'f', sequence: 3 } };
    await store.save({ ...held, topics, reached }, { generation: 1, owner: 'c@a' });
    const claims = new SessionClaims({ store, keepsSession: async () => null });
    const claim = await claims.claim('s', 'ann', 'd@b');
    assert.ok(claim.outcome === 'resumed');
    const { reached: ends } = claim.session;
    assert.deepEqual(ends, {
      constructor: reachedUnknown(position),
      b: reachedUnknown({ epoch: 'f', sequence: 3 }),
    });
    const log = { sequence: 2, previous: [{ epoch: 'e', sequence: 1 }] };
    assert.equal(hasReached({ ...log, epoch: 'e' }, ends!['constructor']!), true);
    assert.equal(hasReached({ ...log, epoch: 'next' }, ends!['constructor']!), false);
  });
});
