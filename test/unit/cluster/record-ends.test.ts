import assert from 'node:assert/strict';
import { Revocations } from '../../../server/auth/revocations.js';
import { ReplicatedMap } from '../../../server/cluster/replicated-map.js';
import { UserLimits } from '../../../server/control/user-limits.js';
import { silentLog } from '../../../server/logging/log.js';
import { MemoryBus } from '../../../server/storage/memory/memory-bus.js';
import { MemorySharedStore } from '../../../server/storage/memory/memory-shared-store.js';
import { FakeClock } from '../../support/fake-clock.js';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

describe('[CLUSTER] what all replicas hold until a time, and one replica whose wall clock is wrong', () => {
  let clock: FakeClock;
  let map: ReplicatedMap;
  let open: { close(): void }[];
  beforeEach(() => {
    clock = new FakeClock();
    map = new ReplicatedMap(
      { store: new MemorySharedStore({ now: () => clock.now() }), bus: new MemoryBus('a'), log: silentLog },
      { name: 'test', checkMs: 60_000 },
    );
    open = [map];
  });
  afterEach(() => {
    for (const one of open) one.close();
  });

  const revocations = () => {
    const made = new Revocations({ map, clock }, { keepSecs: 1000, leewaySecs: 10 });
    open.push(made);
    return made;
  };
  const nowSecs = () => Math.floor(clock.wallTime() / 1000);
  const token = { userId: 'ann', roles: [], autoSubscribe: [], tokenId: 't-1' };

  it('keeps a revocation while its clock is ahead, for however long', async () => {
    const replica = revocations();
    await replica.revokeToken('t-1', nowSecs() + 12 * 3600);
    clock.wallAheadMs = 24 * hourMs;
    await clock.advance(5 * hourMs);
    clock.wallAheadMs = 0;
    assert.equal(replica.isRevoked(token), true);
  });

  it('keeps a revocation that it has found with a clock that is ahead, and set right within the hour', async () => {
    await revocations().revokeToken('t-1', nowSecs() + 3600);
    clock.wallAheadMs = 24 * hourMs;
    const started = revocations();
    await clock.advance(50 * minuteMs);
    clock.wallAheadMs = 0;
    assert.equal(started.isRevoked(token), true);
  });

  it('keeps a revocation while its clock is behind', async () => {
    const replica = revocations();
    await replica.revokeToken('t-1', nowSecs() + 3600);
    clock.wallAheadMs = -6 * hourMs;
    await clock.advance(4 * hourMs);
    assert.equal(replica.isRevoked(token), true);
  });

  it('takes nothing back of a revocation by revoking again, with a clock that is behind', async () => {
    const replica = revocations();
    const issuedAt = nowSecs() - 60;
    const { not_before: first } = await replica.revokeUser('ann');
    await replica.revokeToken('t-1', nowSecs() + 12 * 3600);
    await replica.revokeFamily('f-1');
    const ends = replica.list().map(({ until }) => until);
    clock.wallAheadMs = -6 * hourMs;
    assert.equal((await replica.revokeUser('ann')).not_before, first);
    await replica.revokeToken('t-1');
    await replica.revokeFamily('f-1');
    clock.wallAheadMs = 0;
    assert.deepEqual(
      replica.list().map(({ until }) => until),
      ends,
    );
    assert.equal(replica.isRevoked({ userId: 'ann', roles: [], autoSubscribe: [], issuedAt }), true);
    // Nor does it keep tokens that were issued since from being revoked.
    await clock.advance(minuteMs);
    const later = { userId: 'ann', roles: [], autoSubscribe: [], issuedAt: nowSecs() };
    assert.equal(replica.isRevoked(later), false);
    await replica.revokeUser('ann');
    assert.equal(replica.isRevoked(later), true);
  });

  it('deletes a revocation an hour after its end', async () => {
    const replica = revocations();
    await replica.revokeToken('t-1', nowSecs() + 600);
    await clock.advance(65 * minuteMs);
    assert.equal(replica.size, 1);
    await clock.advance(10 * minuteMs);
    assert.equal(replica.size, 0);
    assert.deepEqual([...map.entries()], []);
  });

  it('keeps the limit of a user, and deletes it an hour after its end', async () => {
    const limits = new UserLimits({ map, clock });
    open.push(limits);
    const at = clock.wallTime();
    await limits.set({ userId: 'mallory', commandsPerSec: 1, until: at + 2 * hourMs, by: 'olga', at });
    clock.wallAheadMs = 3 * hourMs;
    await clock.advance(hourMs);
    assert.equal(limits.rateOf('mallory'), undefined);
    clock.wallAheadMs = 0;
    assert.equal(limits.rateOf('mallory'), 1);
    await clock.advance(2 * hourMs + minuteMs);
    assert.deepEqual([...map.entries()], []);
  });
});
