import { silentLog } from '../../server/logging/log.js';
import { RedisBus } from '../../server/storage/redis/redis-bus.js';
import type { RedisStore } from '../../server/storage/redis/redis-store.js';
import { RedisReplicaRegistry } from '../../server/storage/redis/redis-replica-registry.js';

interface RedisReplicaSettings {
  readonly heartbeatMs?: number;
  readonly leaseMs?: number;
  readonly name?: string;
  readonly keyPrefix?: string;
}

/** A replica of the registry with its bus, on a link. */
export interface RedisReplica {
  readonly registry: RedisReplicaRegistry;
  readonly bus: RedisBus;
  close(): Promise<void>;
}

export function redisReplica(
  link: RedisStore,
  id: string,
  settings: RedisReplicaSettings = {},
): RedisReplica {
  const { name = id, keyPrefix = 'rtc', ...times } = settings;
  const identity = { id, name, version: '0.2.0', settings: {} };
  const registry = new RedisReplicaRegistry({ link, log: silentLog }, { keyPrefix, identity, ...times });
  const bus = new RedisBus({ link, registry, log: silentLog }, { keyPrefix });
  return {
    registry,
    bus,
    close: async () => {
      await registry.close();
      await bus.close();
    },
  };
}
