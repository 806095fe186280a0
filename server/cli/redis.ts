import { randomBytes } from 'node:crypto';
import { redisAddressOf, type RedisAddress } from '../config/redis-address.js';
import type { Settings } from '../config/schema.js';
import { databaseMark } from '../storage/redis/database.js';
import { aclLine } from '../storage/redis/redis-acl.js';

/** Options of `rtc redis acl`. */
export interface AclOptions {
  readonly user?: string;
  readonly namespace: readonly string[];
  readonly redisVersion: string;
}

/** The line goes to standard output, for `rtc redis acl | redis-cli`. A password that was made for it goes to standard error. */
export function printAcl({ redis, admin }: Settings, { user, namespace, redisVersion }: AclOptions): void {
  const address = redisAddressOf(redis);
  const { username: known, password: given, cluster } = address ?? {};
  const username = user ?? known ?? 'rtc';
  const password = given ?? randomBytes(24).toString('base64url');
  const { keyPrefix } = redis;
  const ofUi = admin.socketIoUi === 'off' ? [] : ['/admin'];
  const namespaces = [...new Set(['/', ...ofUi, ...namespace])];
  console.log(
    aclLine({
      username,
      password,
      keyPrefix,
      channelMark: databaseMark(redis.url),
      namespaces,
      redisVersion,
      isCluster: cluster !== undefined,
    }),
  );
  if (given === undefined || user !== undefined)
    process.stderr.write(
      `then: REDIS_URL=${urlFor(address, username, given === undefined ? password : '…')}\n`,
    );
}

/** An address of the same kind as that of the settings, for a user. */
export function urlFor(address: RedisAddress | undefined, username: string, password: string): string {
  const { isTls = false, database = 0, cluster, sentinel } = address ?? {};
  const kind = cluster !== undefined ? '+cluster' : sentinel !== undefined ? '+sentinel' : '';
  const place = sentinel === undefined ? 'host:6379' : `host:26379/${sentinel.masterName}`;
  return `${isTls ? 'rediss' : 'redis'}${kind}://${encodeURIComponent(username)}:${password}@${place}${database > 0 ? `/${database}` : ''}`;
}
