import { MemoryBroker } from '../../../server/storage/memory/memory-broker.js';
import { TestRedis } from '../../support/redis.js';
import { redisBrokers, retention } from '../../support/redis-brokers.js';
import { brokerContract, type BrokerFixture } from './broker-contract.js';

brokerContract('MemoryBroker', async () => {
  const brokers: MemoryBroker[] = [];
  const fixture: BrokerFixture = {
    retention,
    open: async () => {
      if (brokers.length > 0) return undefined;
      const broker = new MemoryBroker({ retentionOf: () => fixture.retention, now: Date.now });
      brokers.push(broker);
      return broker;
    },
    close: async () => void (await Promise.all(brokers.map((broker) => broker.close()))),
  };
  return fixture;
});

describe('with a Redis of its own', () => {
  let redis: TestRedis;
  before(async () => {
    redis = await TestRedis.start();
  });
  after(() => redis.stop());

  brokerContract('RedisBroker', async () => {
    await redis.command('FLUSHALL');
    return redisBrokers(redis);
  });
});
