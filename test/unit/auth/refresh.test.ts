import assert from 'node:assert/strict';
import { createSecretKey } from 'node:crypto';
import { assembleTokens, type Tokens } from '../../../server/app/tokens.js';
import { loadSettings } from '../../../server/config/load.js';
import type { Storage } from '../../../server/storage/storage.js';
import { MemoryBus } from '../../../server/storage/memory/memory-bus.js';
import { MemorySharedStore } from '../../../server/storage/memory/memory-shared-store.js';
import { RefreshService } from '../../../server/auth/refresh-service.js';
import type { Identity } from '../../../server/protocol/identity.js';
import { Revocations } from '../../../server/auth/revocations.js';
import { TokenIssuer, type TokenPair } from '../../../server/auth/token-issuer.js';
import { TokenVerifier } from '../../../server/auth/token-verifier.js';
import { ReplicatedMap } from '../../../server/cluster/replicated-map.js';
import { systemClock } from '../../../server/primitives/clock.js';
import { silentLog } from '../../../server/logging/log.js';
import { RefusalError } from '../../../shared/errors.js';

describe('[AUTH] refresh tokens', () => {
  let now: number;
  let store: MemorySharedStore;
  let map: ReplicatedMap;
  let revocations: Revocations;
  let issuer: TokenIssuer;
  let verifier: TokenVerifier;
  let refreshes: RefreshService;
  let ids: number;
  beforeEach(() => {
    now = Date.now();
    ids = 0;
    store = new MemorySharedStore({ now: () => now });
    map = new ReplicatedMap(
      { store, bus: new MemoryBus('a'), log: silentLog },
      { name: 'revocations', checkMs: 10_000 },
    );
    revocations = new Revocations(
      { map, clock: { ...systemClock, wallTime: () => now } },
      { keepSecs: 1000, leewaySecs: 10 },
    );
    issuer = new TokenIssuer(
      { secret: 'secret', newId: () => `id-${ids++}`, now: () => now },
      { accessTtlSecs: 900, refreshTtlSecs: 86_400 },
    );
    verifier = new TokenVerifier(
      { keys: [{ key: createSecretKey(Buffer.from('secret')), algorithm: 'HS256' }], leewaySecs: 10 },
      { isRevoked: revocations.isRevoked, now: () => now },
    );
    refreshes = new RefreshService({
      issuer,
      verifier,
      revocations,
      store,
      log: silentLog,
      now: () => now,
    });
  });
  afterEach(() => {
    map.close();
    revocations.close();
  });
  const login = (): TokenPair => issuer.pair({ userId: 'ann', roles: ['user'] });
  const refused = (code: string) => (error: unknown) => error instanceof RefusalError && error.code === code;

  it('can be used once; a second use revokes all tokens of the same login', async () => {
    const first = login();
    const other = login();
    const second = await refreshes.refresh(first.refreshToken);
    const third = await refreshes.refresh(second.refreshToken);
    now += 10_001;
    await assert.rejects(refreshes.refresh(first.refreshToken), refused('token_revoked'));
    assert.equal(refreshes.reuses, 1);
    for (const { accessToken } of [first, second, third])
      assert.throws(() => verifier.verify(accessToken), refused('token_revoked'));
    await assert.rejects(refreshes.refresh(third.refreshToken), refused('token_revoked'));
    assert.equal(verifier.verify(other.accessToken).userId, 'ann', 'another login of the user stays valid');
  });

  it('return the same pair again for ten seconds', async () => {
    const first = login();
    const answers = [await refreshes.refresh(first.refreshToken)];
    now += 9_999;
    answers.push(await refreshes.refresh(first.refreshToken));
    assert.deepEqual(answers[0], answers[1]);
    assert.notEqual(answers[0]!.refreshToken, first.refreshToken);
  });

  it('are not lost by an attempt that was stored and never answered', async () => {
    const first = login();
    // Redis has stored it, and the replica failed before it could answer.
    const { set, replace } = store;
    store.set = (key, value, ttlMs) =>
      value.includes('answeredMs') ? Promise.reject(new Error('gone')) : set.call(store, key, value, ttlMs);
    store.replace = () => Promise.reject(new Error('gone'));
    await refreshes.refresh(first.refreshToken);
    Object.assign(store, { set, replace });
    now += 60_000;
    const again = await refreshes.refresh(first.refreshToken);
    assert.equal((await refreshes.refresh(again.refreshToken)).familyId, first.familyId);
    now += 10_001;
    await assert.rejects(refreshes.refresh(first.refreshToken), refused('token_revoked'));
  });

  it('of a clock that is ahead by up to the leeway are reached by a second revocation after that time', async () => {
    const issued = Array.from({ length: 11 }, (_, aheadSecs) => ({
      ...{ userId: 'ann', roles: [], issuedAt: Math.floor(now / 1000) + aheadSecs },
    })) as unknown as Identity[];
    await revocations.revokeUser('ann');
    assert.equal(issued.filter(revocations.isRevoked).length, 1);
    now += 10_000;
    await revocations.revokeUser('ann');
    assert.equal(issued.filter(revocations.isRevoked).length, issued.length);
  });

  it('of a user whose tokens were revoked are refused; those of a login in the next second are accepted', async () => {
    const before = login();
    await revocations.revokeUser('ann');
    await assert.rejects(refreshes.refresh(before.refreshToken), refused('token_revoked'));
    now = (Math.floor(now / 1000) + 1) * 1000;
    assert.ok(await refreshes.refresh(login().refreshToken));
  });

  it('are distinguished from access tokens', async () => {
    const { accessToken, refreshToken } = login();
    assert.throws(() => verifier.verify(refreshToken), refused('unauthorized'));
    await assert.rejects(refreshes.refresh(accessToken), refused('unauthorized'));
  });

  it('take one lasting record for each login, however often they are exchanged', async () => {
    const records = () => (store as unknown as { readonly values: ReadonlyMap<string, unknown> }).values;
    // Those of others must not keep the ended ones of this one.
    for (let n = 0; n < 20; n++) await refreshes.refresh(login().refreshToken);
    const first = login();
    let last = first;
    for (let n = 0; n < 1000; n++) {
      last = await refreshes.refresh(last.refreshToken);
      now += 1000;
    }
    assert.ok(records().size <= 300, `${records().size} records`);
    const copied = last.refreshToken;
    const next = await refreshes.refresh(copied);
    now += 3_600_000;
    // The latest that was used, after its own record has ended; and then an earlier one would be refused, too.
    await assert.rejects(refreshes.refresh(copied), refused('token_revoked'));
    assert.equal(refreshes.reuses, 1);
    await assert.rejects(refreshes.refresh(next.refreshToken), refused('token_revoked'));
  });

  it('that were used long ago revoke the login', async () => {
    const first = login();
    let last = first;
    for (let n = 0; n < 3; n++) {
      last = await refreshes.refresh(last.refreshToken);
      now += 3_600_000;
    }
    await assert.rejects(refreshes.refresh(first.refreshToken), refused('token_revoked'));
    assert.equal(refreshes.reuses, 1);
    await assert.rejects(refreshes.refresh(last.refreshToken), refused('token_revoked'));
  });

  it('that were used are known until they expire, also if those after them live shorter', async () => {
    const first = login();
    const shorter = new RefreshService({
      issuer: new TokenIssuer(
        { secret: 'secret', newId: () => `id-${ids++}`, now: () => now },
        { accessTtlSecs: 900, refreshTtlSecs: 60 },
      ),
      verifier,
      revocations,
      store,
      log: silentLog,
      now: () => now,
    });
    const second = await shorter.refresh(first.refreshToken);
    await shorter.refresh(second.refreshToken);
    now += 2 * 3_600_000;
    await assert.rejects(refreshes.refresh(first.refreshToken), refused('token_revoked'));
  });

  it('of one login that are exchanged by many at once give all the same pair', async () => {
    const { refreshToken } = login();
    const pairs = await Promise.all(Array.from({ length: 20 }, () => refreshes.refresh(refreshToken)));
    assert.equal(new Set(pairs.map((pair) => pair.refreshToken)).size, 1);
    assert.ok(await refreshes.refresh(pairs[0]!.refreshToken));
    now += 9000;
    assert.deepEqual(await refreshes.refresh(refreshToken), pairs[0], 'also after the next one was used');
  });

  for (const late of [
    { what: 'the record', after: 0 },
    { what: 'the time of the answer', after: 1 },
  ])
    it(`used twice are noticed also where a replica stored ${late.what} of an earlier one of the login late`, async () => {
      let release = () => {};
      const released = new Promise<void>((resolve) => (release = resolve));
      let writes = 0;
      const writesLate = <Args extends [key: string, ...rest: unknown[]], Result>(
        write: (...args: Args) => Promise<Result>,
      ) => ({
        value: async (...args: Args) => {
          if (args[0].startsWith('refresh-family:') && writes++ >= late.after) await released;
          return write.apply(store, args);
        },
      });
      const { set, setIfAbsent, replace } = store;
      const lateStore = Object.create(store, {
        set: writesLate(set),
        setIfAbsent: writesLate(setIfAbsent),
        replace: writesLate(replace),
      }) as MemorySharedStore;
      const other = new RefreshService({
        ...{ issuer, verifier, revocations, store: lateStore },
        ...{ log: silentLog, now: () => now },
      });
      const first = login();
      const slow = other.refresh(first.refreshToken);
      await new Promise(setImmediate);
      const second = await refreshes.refresh(first.refreshToken);
      const third = await refreshes.refresh(second.refreshToken);
      release();
      assert.deepEqual(await slow, second);
      await new Promise(setImmediate);
      now += 3_600_000;
      await assert.rejects(refreshes.refresh(second.refreshToken), refused('token_revoked'));
      await assert.rejects(refreshes.refresh(third.refreshToken), refused('token_revoked'));
    });

  it('of an earlier version are exchanged, and can be used once', async () => {
    const { generation: _, ...seed } = issuer.newSeed();
    const first = issuer.pair({ userId: 'ann', roles: ['user'] }, seed);
    const second = await refreshes.refresh(first.refreshToken);
    assert.deepEqual(await refreshes.refresh(first.refreshToken), second);
    await refreshes.refresh(second.refreshToken);
    now += 3_600_000;
    await assert.rejects(refreshes.refresh(first.refreshToken), refused('token_revoked'));
  });

  it('are not lost by exchanges at replicas of an earlier version, between those at newer ones', async () => {
    /** An earlier version keeps a record of each token until it expires, and does not count. */
    const exchangeBefore = async (token: string) => {
      const identity = verifier.verifyRefresh(token);
      const { generation: _, ...seed } = issuer.newSeed(identity.familyId);
      await store.set(`refresh:${identity.tokenId}`, JSON.stringify({ seed, answeredMs: now }), 86_400_000);
      return issuer.pair(identity, seed);
    };
    const first = login();
    let last = first;
    for (const version of ['new', 'new', 'old', 'new', 'new', 'old', 'old', 'new', 'new'] as const) {
      last = await (version === 'new'
        ? refreshes.refresh(last.refreshToken)
        : exchangeBefore(last.refreshToken));
      now += 3_600_000;
    }
    assert.equal(refreshes.reuses, 0);
    await assert.rejects(refreshes.refresh(first.refreshToken), refused('token_revoked'));
  });

  it('that were used long ago are refused again if the login could not be revoked at first', async () => {
    const first = login();
    const second = await refreshes.refresh(first.refreshToken);
    await refreshes.refresh(second.refreshToken);
    now += 3_600_000;
    const { writeFields } = store;
    store.writeFields = () => Promise.reject(new RefusalError('unavailable', 'gone'));
    await assert.rejects(refreshes.refresh(first.refreshToken), refused('unavailable'));
    store.writeFields = writeFields;
    await assert.rejects(refreshes.refresh(first.refreshToken), refused('token_revoked'));
  });

  it('repeated at another replica return the same pair, however far ahead the clock of its machine is', async () => {
    const realNow = Date.now;
    // The clock that all replicas share, in `storage.now`.
    const storage = {
      shared: store,
      bus: new MemoryBus('a'),
      now: () => now,
      onUp: () => {},
    } as unknown as Storage;
    const settings = loadSettings({ JWT_SECRET: 'secret' });
    const replicas = [0, 30_000].map((aheadMs) => {
      Date.now = () => realNow() + aheadMs;
      return assembleTokens({ settings, secret: 'secret', storage, logOf: () => silentLog });
    });
    try {
      await Promise.all(replicas.map((replica) => replica.read()));
      const [one, other] = replicas as [Tokens, Tokens];
      const { refreshToken } = one.issuer!.pair({ userId: 'ann', roles: ['user'] });
      const first = await one.refreshes.refresh(refreshToken);
      now += 1000;
      assert.deepEqual(await other.refreshes.refresh(refreshToken), first);
      now += 10_000;
      await assert.rejects(other.refreshes.refresh(refreshToken), refused('token_revoked'));
    } finally {
      Date.now = realNow;
      replicas.forEach((replica) => replica.close());
    }
  });
});
