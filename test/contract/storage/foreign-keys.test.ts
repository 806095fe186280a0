import assert from 'node:assert/strict';
import type { Broker } from '../../../server/log/broker.js';
import type { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { RefusalError } from '../../../shared/errors.js';
import { redisBrokers } from '../../support/redis-brokers.js';
import { TestRedis } from '../../support/redis.js';
import { entry } from '../log/broker-contract.js';

const isUnavailable = (error: unknown) => error instanceof RefusalError && error.code === 'unavailable';

describe('[P3] [P4] keys in Redis that somebody else has written', () => {
  let redis: TestRedis;
  let fixture: Awaited<ReturnType<typeof redisBrokers>>;
  let broker: Broker;
  let link: RedisLink;
  const call = <Reply>(...words: string[]) => link.call<Reply>(words);
  const keys = async () => (await call<string[]>('KEYS', '*')).sort();
  before(async () => {
    redis = await TestRedis.start();
  });
  after(() => redis.stop());
  beforeEach(async () => {
    await redis.command('FLUSHALL');
    fixture = await redisBrokers(redis);
    broker = (await fixture.open())!;
    link = fixture.links[0]!;
  });
  afterEach(() => fixture.close());

  for (const kind of ['log', 'meta']) {
    it(`refuse messages whose ${kind} they are, and leave no idempotency key without its message`, async () => {
      await broker.append('t', [entry('a')]);
      await call('SET', `rtc:{t}:${kind}`, 'of somebody else');
      const before = await keys();
      const batch = () => [entry('b'), entry('c', 'k1'), entry('d', 'k2', 'ann'), entry('e', 'k2', 'bob')];
      const [outcome, other] = await Promise.allSettled([
        broker.append('t', batch()),
        broker.append('u', [entry('a', 'k1')]),
      ]);
      assert.ok(outcome.status === 'rejected' && isUnavailable(outcome.reason));
      assert.ok(other.status === 'fulfilled', 'other topics of the same call are stored');
      assert.deepEqual(
        (await keys()).filter((key) => key.startsWith('rtc:{t}')),
        before,
      );
      await assert.rejects(broker.read('t', 0, 10), isUnavailable);
      await call('DEL', `rtc:{t}:${kind}`);
      const receipts = await broker.append('t', batch());
      assert.deepEqual(
        receipts.map(({ duplicate }) => duplicate),
        [false, false, false, false],
      );
      assert.equal((await broker.read('t', 0, 10)).entries.length, kind === 'log' ? 4 : 4);
    });
  }

  it('are overwritten where an idempotency key is to be', async () => {
    for (const name of ['k:k1', 'k:k2', 'o:%22bob%22:k2'])
      await call('RPUSH', `rtc:{t}:${name}`, 'of somebody else');
    const batch = () => [entry('a', 'k1'), entry('b', 'k2', 'ann'), entry('c', 'k2', 'bob')];
    const first = await broker.append('t', batch());
    assert.deepEqual(
      first.map(({ sequence, duplicate }) => [sequence, duplicate]),
      [
        [1, false],
        [2, false],
        [3, false],
      ],
    );
    const again = await broker.append('t', batch());
    assert.deepEqual(
      again.map(({ sequence, duplicate }) => [sequence, duplicate]),
      [
        [1, true],
        [2, true],
        [3, true],
      ],
    );
  });

  it('do not stop an inbox from being written', async () => {
    fixture.retention = {
      ...fixture.retention,
      fullAt: 10,
      shares: { bytes: 1e6, senderMessages: 5, senderBytes: 1e6 },
    };
    await call('RPUSH', 'rtc:{t}:k:k', 'of somebody else');
    const [receipt] = await broker.append('t', [entry('a', 'k', 'ann')]);
    assert.deepEqual([receipt!.sequence, receipt!.duplicate], [1, false]);
    const [again] = await broker.append('t', [entry('a', 'k', 'ann')]);
    assert.deepEqual([again!.sequence, again!.duplicate], [1, true]);
  });

  it('are kept in an epoch of their own where the stream goes on behind its metadata', async () => {
    const [before] = await broker.append('t', [entry('a'), entry('b')]);
    // As a script of version 0.1 leaves it that was not allowed to publish.
    await call('XADD', 'rtc:{t}:log', '3-0', 'm', entry('unknown').entry.toString());
    const [receipt] = await broker.append('t', [entry('c', 'k')]);
    assert.deepEqual([receipt!.sequence, receipt!.duplicate], [4, false]);
    const { end, entries } = await broker.read('t', 0, 10);
    assert.equal(entries.length, 4);
    assert.notEqual(end.epoch, before!.epoch);
    assert.deepEqual(end.previous, [{ epoch: before!.epoch, sequence: 2 }]);
    assert.equal((await broker.append('t', [entry('d')]))[0]!.epoch, end.epoch);
  });

  it('make no call fail for topics that they do not concern', async () => {
    await broker.append('t', [entry('a')]);
    await call('HSET', 'rtc:{t}:meta', 's', 'no number');
    const [bad, good] = await Promise.allSettled([
      broker.append('t', [entry('b')]),
      broker.append('u', [entry('a')]),
    ]);
    assert.ok(bad.status === 'rejected' && isUnavailable(bad.reason));
    assert.equal(good.status, 'fulfilled');
  });

  it('store a message that Redis does not allow to be published, and say so', async () => {
    const commands = ['~*', '&none', '+@all'];
    await call('ACL', 'SETUSER', 'default', 'resetchannels', ...commands.slice(1));
    try {
      const [receipt] = await broker.append('t', [entry('a', 'k')]);
      assert.deepEqual([receipt!.sequence, receipt!.receivers], [1, 0]);
      assert.equal((await broker.read('t', 0, 10)).entries.length, 1);
      assert.equal((await broker.append('t', [entry('b')]))[0]!.sequence, 2);
    } finally {
      await call('ACL', 'SETUSER', 'default', 'allchannels');
    }
  });
});
