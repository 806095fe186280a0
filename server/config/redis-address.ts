import { parseRedisUrl, parseSentinel, type RedisHost, type RedisUser } from './redis-url.js';
import type { Settings } from './schema.js';

/** One Sentinel. */
export interface SentinelAddress extends RedisHost, RedisUser {
  readonly isTls: boolean;
}

/** Where Redis is, and how to get in. */
export interface RedisAddress extends RedisUser {
  readonly isTls: boolean;
  readonly database: number;
  /** Undefined: Sentinel knows it, or it is a cluster. */
  readonly host?: RedisHost;
  /** Some nodes of a Redis Cluster. */
  readonly cluster?: readonly RedisHost[];
  readonly sentinel?: {
    readonly sentinels: readonly SentinelAddress[];
    /** The name of the primary. */
    readonly masterName: string;
  };
}

/** The address that the settings give; undefined: the service runs in memory. `url`: another one than in the settings. */
export function redisAddressOf(
  {
    url: given,
    sentinels,
    sentinelMasterName,
  }: Pick<Settings['redis'], 'url' | 'sentinels' | 'sentinelMasterName'>,
  url = given,
): RedisAddress | undefined {
  const parsed = url === undefined ? undefined : parseRedisUrl(url);
  if (parsed === undefined) return undefined;
  const { hosts, masterName, sentinelUser, isCluster, ...rest } = parsed;
  if (isCluster) return { ...rest, cluster: hosts };
  if (masterName !== undefined) {
    const { isTls } = parsed;
    return {
      ...rest,
      sentinel: { masterName, sentinels: hosts.map((host) => ({ ...host, ...sentinelUser, isTls })) },
    };
  }
  // An address that was given instead of the one in the settings is not that of the Sentinels in the settings.
  if (sentinels.length === 0 || url !== given) return { ...rest, host: hosts[0]! };
  return {
    ...rest,
    sentinel: {
      masterName: sentinelMasterName,
      sentinels: sentinels.flatMap((text) => {
        const sentinel = parseSentinel(text);
        return sentinel === undefined ? [] : [{ ...sentinel, isTls: sentinel.isTls ?? parsed.isTls }];
      }),
    },
  };
}

/** Every machine that the address names. */
export function hostsOf({ host, sentinel, cluster }: RedisAddress): readonly RedisHost[] {
  return cluster ?? sentinel?.sentinels ?? [host!];
}
