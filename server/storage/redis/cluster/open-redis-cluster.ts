import type { RedisAddress } from '../../../config/redis-address.js';
import type { Settings } from '../../../config/schema.js';
import type { Log } from '../../../logging/log.js';
import { nodeConnector } from '../redis-connector.js';
import type { RedisTls } from '../redis-tls.js';
import { RedisCluster } from './redis-cluster.js';

/**
 * What the names of keys and channels that belong to replicas begin with in a Redis Cluster: one slot, because scripts
 * touch several of them at once.
 */
export function clusterReplicaPrefix(keyPrefix: string): string {
  return `${keyPrefix}:{replicas}`;
}

/** Opens a Redis Cluster; it is not connected yet. */
export function openRedisCluster(
  { log, tls }: { readonly log: Log; readonly tls: RedisTls },
  address: RedisAddress,
  { keyPrefix, commandTimeoutMs, stallLimitMs }: Settings['redis'],
): RedisCluster {
  return new RedisCluster(
    { log, connectorTo: (host) => nodeConnector(address, host, tls) },
    {
      seeds: address.cluster ?? [],
      keyPrefix,
      clockKey: clusterReplicaPrefix(keyPrefix),
      commandTimeoutMs,
      stallLimitMs,
    },
  );
}
