import { randomBytes } from 'node:crypto';
import { redisAddressOf } from '../config/redis-address.js';
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
export function printAcl({ redis }: Settings, { user, namespace, redisVersion }: AclOptions): void {
  const { username: known, password: given, cluster } = redisAddressOf(redis) ?? {};
  const username = user ?? known ?? 'rtc';
  const password = given ?? randomBytes(24).toString('base64url');
  const { keyPrefix } = redis;
  const namespaces = [...new Set(['/', ...namespace])];
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
      `then: REDIS_URL=redis${cluster === undefined ? '' : '+cluster'}://${encodeURIComponent(username)}:${given === undefined ? password : '…'}@host:6379\n`,
    );
}
