import type { Retention } from '../../server/log/broker.js';
import { silentLog } from '../../server/logging/log.js';
import { redisAddressOf } from '../../server/config/redis-address.js';
import { clusterReplicaPrefix } from '../../server/storage/redis/cluster/open-redis-cluster.js';
import { RedisCluster } from '../../server/storage/redis/cluster/redis-cluster.js';
import { nodeConnector } from '../../server/storage/redis/redis-connector.js';
import { RedisBroker } from '../../server/storage/redis/redis-broker.js';
import { RedisLink } from '../../server/storage/redis/redis-link.js';
import type { BrokerFixture } from '../contract/log/broker-contract.js';
import type { TestRedis } from './redis.js';
import type { TestRedisCluster } from './redis-cluster.js';

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

/** Brokers on one Redis Cluster. */
export async function clusterBrokers(
  cluster: TestRedisCluster,
): Promise<BrokerFixture & { links: RedisCluster[] }> {
  const links: RedisCluster[] = [];
  const fixture: BrokerFixture & { links: RedisCluster[] } = {
    links,
    retention,
    open: async () => {
      const link = openTestCluster(cluster.url);
      links.push(link);
      const broker = new RedisBroker(
        { link, retentionOf: () => fixture.retention, log: silentLog, now: Date.now },
        { keyPrefix: 'rtc', outcomeLimitMs: 10_000, waitReplicas: 0, unusedKeepMs: 120_000 },
      );
      if (!(await link.whenUp(30_000))) throw new Error('the Redis Cluster did not come up');
      return broker;
    },
    flush: () => cluster.flush(),
    close: async () => void (await Promise.all(links.map((link) => link.close()))),
  };
  return fixture;
}

/** The links of a replica to a Redis Cluster, started. */
export function openTestCluster(url: string): RedisCluster {
  const address = redisAddressOf({ url, sentinels: [], sentinelMasterName: '' })!;
  const link = new RedisCluster(
    { log: silentLog, connectorTo: (host) => nodeConnector(address, host, {}) },
    {
      seeds: address.cluster!,
      keyPrefix: 'rtc',
      clockKey: clusterReplicaPrefix('rtc'),
      commandTimeoutMs: 2000,
      stallLimitMs: 5000,
    },
  );
  link.start();
  return link;
}
