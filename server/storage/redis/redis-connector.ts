import type { RedisAddress } from '../../config/redis-address.js';
import { redisAddressOf } from '../../config/redis-address.js';
import type { RedisHost } from '../../config/redis-url.js';
import type { Log } from '../../logging/log.js';
import { newRedisClient, type RedisAccess, type RedisClient } from './redis-client.js';
import { fixedPlace, type RedisPlace } from './redis-place.js';
import type { RedisTls } from './redis-tls.js';
import { SentinelPlace } from './sentinel-place.js';

/** Makes the connections to Redis: all of one replica go to the same. */
export interface RedisConnector {
  readonly place: RedisPlace;
  /** A client that is not connected. While the place is not known it must not be connected either. */
  newClient(): RedisClient;
}

/** Never connected. */
const nowhere = { host: 'localhost', port: 1 } as const;

/** `tls`: used where the address asks for TLS. */
export function redisConnector(
  { log }: { readonly log: Log },
  { address, tls = {} }: { readonly address: RedisAddress; readonly tls?: RedisTls },
): RedisConnector {
  const { host, sentinel } = address;
  const place = sentinel === undefined ? fixedPlace(host!) : new SentinelPlace({ log }, { sentinel, tls });
  return {
    place,
    newClient: () => newRedisClient(place.host ?? nowhere, accessOf(address, tls)),
  };
}

/** Makes the connections to one node of a Redis Cluster. */
export function nodeConnector(address: RedisAddress, host: RedisHost, tls: RedisTls): RedisConnector {
  return { place: fixedPlace(host), newClient: () => newRedisClient(host, accessOf(address, tls)) };
}

/** The connector of an address without anything else. */
export function connectorTo(url: string, log: Log): RedisConnector {
  const address = redisAddressOf({ url, sentinels: [], sentinelMasterName: '' });
  if (address === undefined) throw new TypeError('not an address of Redis');
  return redisConnector({ log }, { address });
}

function accessOf({ username, password, database, isTls }: RedisAddress, tls: RedisTls): RedisAccess {
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    database,
    ...(isTls && { tls }),
  };
}
