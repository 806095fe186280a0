import { MemoryBroker } from '../../../server/storage/memory/memory-broker.js';
import { RedisBroker } from '../../../server/storage/redis/redis-broker.js';
import { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { silentLog } from '../../../server/logging/log.js';
import type { Retention } from '../../../server/log/broker.js';
import { TestRedis } from '../../support/redis.js';
import { brokerContract, type BrokerFixture } from './broker-contract.js';

const retention: Retention = { historySize: 1000, historyTtlMs: 60_000, idempotencyMs: 60_000, fullAt: 0 };

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

/** Brokers on one Redis. */
export async function redisBrokers(redis: TestRedis): Promise<BrokerFixture & { links: RedisLink[] }> {
  const links: RedisLink[] = [];
  const fixture: BrokerFixture & { links: RedisLink[] } = {
    links,
    retention,
    open: async () => {
      const link = new RedisLink(
        { log: silentLog },
        { url: redis.url, commandTimeoutMs: 500, stallLimitMs: 3000 },
      );
      links.push(link);
      const broker = new RedisBroker(
        { link, retentionOf: () => fixture.retention, log: silentLog, now: Date.now },
        { keyPrefix: 'rtc', outcomeLimitMs: 10_000, waitReplicas: 0 },
      );
      link.start();
      if (!(await link.whenUp(5000))) throw new Error('Redis did not come up');
      return broker;
    },
    flush: async () => void (await redis.command('FLUSHALL')),
    close: async () => void (await Promise.all(links.map((link) => link.close()))),
  };
  return fixture;
}

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
