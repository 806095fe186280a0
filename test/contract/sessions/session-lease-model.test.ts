import assert from 'node:assert/strict';
import {
  isSameLease,
  leaseOf,
  mayWrite,
  nextLease,
  retiredGeneration,
  unclaimed,
  type SessionLease,
} from '../../../server/sessions/session-lease.js';
import type { SessionStore, StoredSession } from '../../../server/sessions/session-store.js';
import { Closing } from '../../support/closing.js';
import { openSessionStores } from '../../support/session-stores.js';
import { seededRandom } from '../../../bench/seeded-random.js';

const steps = 60;

/** The rule of `session-lease.ts` on plain objects: what a store must do. */
class ModelStore {
  private stored: StoredSession | undefined;
  /** The lease of a session without a state: retired, or outdated. */
  private emptied: SessionLease | undefined;

  get(): StoredSession | undefined {
    return this.emptied === undefined ? this.stored : undefined;
  }

  save(session: StoredSession, by: SessionLease): boolean {
    if (!mayWrite(this.emptied ?? (this.stored && leaseOf(this.stored)), by)) return false;
    this.stored = session;
    this.emptied = undefined;
    return true;
  }

  forget(by: SessionLease): void {
    if (this.stored !== undefined && isSameLease(this.emptied ?? leaseOf(this.stored), by)) this.emptied = by;
  }

  claim(known: StoredSession, lease: SessionLease): StoredSession | undefined {
    const session = this.get();
    if (session === undefined || !isSameLease(leaseOf(session), leaseOf(known))) return undefined;
    this.stored = { ...session, ...lease };
    return this.stored;
  }

  restore(session: StoredSession): void {
    const lease = this.emptied !== undefined || this.stored === undefined ? unclaimed : leaseOf(this.stored);
    this.stored = { ...session, ...lease };
    this.emptied = undefined;
  }

  retire(): void {
    this.emptied = { generation: retiredGeneration, owner: null };
  }

  delete(): void {
    this.stored = undefined;
    this.emptied = undefined;
  }
}

for (const storage of ['memory', 'redis'] as const) {
  describe(`[SESSION STORE] leases in ${storage}`, () => {
    const schedules = storage === 'memory' ? 2000 : 60;
    const closing = new Closing();
    let stores: SessionStore[];

    before(async () => {
      stores = await openSessionStores(storage, closing);
    });
    after(() => closing.close());

    it('follow the rule in every order of writes, claims, removals and restores', async () => {
      const firstSeed = Date.now() % 1_000_000;
      for (let seed = firstSeed; seed < firstSeed + schedules; seed++) await run(seed);
    });

    const run = async (seed: number): Promise<void> => {
      const below = seededRandom(seed);
      const id = `s${seed}`;
      const model = new ModelStore();
      /** Sessions as their holders have read them, at any time before. */
      const read: StoredSession[] = [];
      const holders: SessionLease[] = [{ generation: 1, owner: 'first@a' }];
      const session = (n: number, lease: SessionLease): StoredSession => ({
        id,
        user_id: 'ann',
        topics: { t: { epoch: 'e', sequence: n } },
        created_at: 1,
        updated_at: 2,
        generation: lease.generation,
        owner: lease.owner,
      });
      for (let step = 0; step < steps; step++) {
        const store = stores[below(stores.length)]!;
        const at = `seed ${seed}, step ${step}`;
        const what = below(20);
        if (what < 8) {
          const by = holders[below(holders.length)]!;
          const given = session(step, below(4) === 0 ? { ...by, owner: null } : by);
          assert.equal(await store.save(given, by), model.save(given, by), at);
        } else if (what < 14) {
          const known = read[below(read.length)];
          if (known === undefined) continue;
          const lease = nextLease(leaseOf(known), `${step}@b`);
          const expected = model.claim(known, lease);
          assert.deepEqual(await store.claim(known, lease), expected, at);
          if (expected !== undefined) holders.push(lease);
        } else if (what === 14) {
          const given = session(step, unclaimed);
          await store.putMany([given], { overwrite: true });
          model.restore(given);
        } else if (what === 15 && below(3) === 0) {
          await store.retire(id);
          model.retire();
        } else if (what === 16 && below(3) === 0) {
          await store.delete(id);
          model.delete();
        } else if (what === 17) {
          const by = holders[below(holders.length)]!;
          await store.forget(id, by);
          model.forget(by);
        }
        const found = await store.get(id);
        assert.deepEqual(found, model.get(), at);
        if (found !== undefined) read.push(found);
      }
    };
  });
}
