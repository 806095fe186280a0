import assert from 'node:assert/strict';
import { silentLog } from '../../server/logging/log.js';
import type { SessionStore } from '../../server/sessions/session-store.js';
import { MemorySessionStore } from '../../server/storage/memory/memory-session-store.js';
import { RedisLink } from '../../server/storage/redis/redis-link.js';
import { RedisSessionStore } from '../../server/storage/redis/redis-session-store.js';
import type { Closing } from './closing.js';
import { TestRedis } from './redis.js';

const ttlMs = 60_000;
const unlimited = { userSessions: 0, userBytes: 0 };

/** The session stores of two replicas on one Redis, or the one of a replica in memory. */
export async function openSessionStores(
  storage: 'memory' | 'redis',
  closing: Closing,
): Promise<SessionStore[]> {
  if (storage === 'memory') return [new MemorySessionStore({ now: () => performance.now() }, { ttlMs })];
  const redis = await closing.started(TestRedis.start());
  const stores: SessionStore[] = [];
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
