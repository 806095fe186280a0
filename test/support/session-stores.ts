import assert from 'node:assert/strict';
import { silentLog } from '../../server/logging/log.js';
import type { SessionStore } from '../../server/sessions/session-store.js';
import { MemorySessionStore } from '../../server/storage/memory/memory-session-store.js';
import { RedisLink } from '../../server/storage/redis/redis-link.js';
import { RedisSessionStore } from '../../server/storage/redis/redis-session-store.js';
import type { Closing } from './closing.js';
import { openTestCluster } from './redis-brokers.js';
import { TestRedisCluster } from './redis-cluster.js';
import { TestRedis } from './redis.js';

const ttlMs = 60_000;
const unlimited = { userSessions: 0, userBytes: 0 };

/** The session stores of two replicas on one Redis or Redis Cluster, or the one of a replica in memory. */
export async function openSessionStores(
  storage: 'memory' | 'redis' | 'a Redis Cluster',
  closing: Closing,
): Promise<SessionStore[]> {
  if (storage === 'memory') return [new MemorySessionStore({ now: () => performance.now() }, { ttlMs })];
  const stores: SessionStore[] = [];
  if (storage === 'a Redis Cluster') {
    const cluster = await closing.started(TestRedisCluster.start());
    for (let n = 0; n < 2; n++) {
      const link = openTestCluster(cluster.url);
      closing.add(() => link.close());
      assert.ok(await link.whenUp(30_000));
      stores.push(new RedisSessionStore({ link }, { keyPrefix: 'rtc', ttlMs, limits: unlimited }));
    }
    return stores;
  }
  const redis = await closing.started(TestRedis.start());
  for (let n = 0; n < 2; n++) {
    const link = new RedisLink(
      { log: silentLog },
      { url: redis.url, commandTimeoutMs: 1000, stallLimitMs: 5000 },
    );
    closing.add(() => link.close());
    link.start();
    assert.ok(await link.whenUp(5000));
    stores.push(new RedisSessionStore({ link }, { keyPrefix: 'rtc', ttlMs, limits: unlimited }));
  }
  return stores;
}
