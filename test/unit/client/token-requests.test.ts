import assert from 'node:assert/strict';
import { tokenRequests, type TokenReason } from '../../../client/token-requests.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('[CLIENT] what is asked for a token', () => {
  let clock: FakeClock;
  let asked: { readonly reason: TokenReason; give(token: string): void; fail(error: Error): void }[];
  const requests = () =>
    tokenRequests(
      {
        token: (reason) => new Promise((give, fail) => asked.push({ reason, give, fail })),
        connectTimeoutMs: 1000,
      },
      clock,
    );

  beforeEach(() => {
    clock = new FakeClock();
    asked = [];
  });

  it('is asked once by all who ask meanwhile', async () => {
    const token = requests();
    const all = [token('connect'), token('expiring'), token('expiring', true)];
    await clock.settle();
    all.push(token('expiring'));
    asked[0]!.give('a');
    assert.deepEqual([await Promise.all(all), asked.length], [['a', 'a', 'a', 'a'], 1]);
  });

  it('is asked anew, and once, by those who will not have what was asked for before', async () => {
    const token = requests();
    const first = token('expiring');
    await clock.settle();
    const fresh = [token('expiring', true), token('expiring', true)];
    await clock.settle();
    assert.equal(asked.length, 1);
    asked[0]!.give('former');
    assert.equal(await first, 'former');
    await clock.settle();
    assert.equal(asked.length, 2);
    // Who has no such wish joins what is under way.
    fresh.push(token('connect'));
    asked[1]!.give('new');
    assert.deepEqual([await Promise.all(fresh), asked.length], [['new', 'new', 'new'], 2]);
  });

  it('is asked anew also when the former request fails, or is not answered', async () => {
    const token = requests();
    for (const end of [() => asked.at(-1)!.fail(new Error('no')), () => clock.advance(1000)]) {
      const first = assert.rejects(token('expiring'), { name: 'ClientError', code: 'token_failed' });
      await clock.settle();
      const fresh = token('expiring', true);
      await end();
      await first;
      await clock.settle();
      asked.at(-1)!.give('new');
      assert.equal(await fresh, 'new');
    }
    assert.deepEqual([asked.length, clock.pendingTimers], [4, 0]);
  });
});
