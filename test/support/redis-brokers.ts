import type { Retention } from '../../server/log/broker.js';
import { silentLog } from '../../server/logging/log.js';
import { RedisBroker } from '../../server/storage/redis/redis-broker.js';
import { RedisLink } from '../../server/storage/redis/redis-link.js';
import type { BrokerFixture } from '../contract/log/broker-contract.js';
import type { TestRedis } from './redis.js';

/** The retention of the brokers under test. */
export const retention: Retention = {
  historySize: 1000,
  historyTtlMs: 60_000,
  idempotencyMs: 60_000,
  fullAt: 0,
};

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
        { keyPrefix: 'rtc', outcomeLimitMs: 10_000, waitReplicas: 0, unusedKeepMs: 120_000 },
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
