import assert from 'node:assert/strict';
import { TestRedis } from '../../support/redis.js';
import { redisBrokers, retention } from '../../support/redis-brokers.js';
import { from, type BrokerFixture } from '../log/broker-contract.js';

describe('the shares of senders in Redis', () => {
  let redis: TestRedis;
  let opened: BrokerFixture | undefined;
  before(async () => {
    redis = await TestRedis.start();
  });
  after(async () => {
    await opened?.close();
    await redis.stop();
  });

  it('keep nothing of senders whose messages were all refused', async () => {
    const brokers = await redisBrokers(redis);
    brokers.retention = {
      ...retention,
      fullAt: 50,
      shares: { bytes: 2000, senderMessages: 10, senderBytes: 1000 },
    };
    const broker = (await brokers.open())!;
    opened = brokers;
    await broker.append('t', [from('ann', 'x')]);
    const fields = async () => (await brokers.links[0]!.call<string[]>(['HKEYS', 'rtc:{t}:from'])).sort();
    const before = await fields();
    assert.deepEqual(before, ['1', 'b', 'b:"ann"', 'n', 'n:"ann"']);
    const large = 'y'.repeat(1000);
    const receipts = await broker.append('t', [from('bob', large), from('eve', large), from('ann', 'z')]);
    assert.deepEqual(
      receipts.map(({ refusal }) => refusal?.code),
      ['quota_exceeded', 'quota_exceeded', undefined],
    );
    await broker.append('t', [from('joe', large)]);
    assert.deepEqual(await fields(), ['1', '2', 'b', 'b:"ann"', 'n', 'n:"ann"']);
  });
});
