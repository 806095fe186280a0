/** A process of Redis, or of Sentinel. */
export interface RedisHost {
  readonly host: string;
  readonly port: number;
}

/** User and password; both may be missing. */
export interface RedisUser {
  readonly username?: string;
  readonly password?: string;
}

/** What an address of Redis says. */
export interface RedisUrl extends RedisUser {
  readonly isTls: boolean;
  readonly database: number;
  /** The Redis, or under Sentinel the Sentinels, or some nodes of a Redis Cluster. */
  readonly hosts: readonly RedisHost[];
  readonly isCluster: boolean;
  /** The name by which the Sentinels know the primary; undefined: there are none. */
  readonly masterName?: string;
  /** For the Sentinels themselves. */
  readonly sentinelUser?: RedisUser;
}

const redisPort = 6379;
const sentinelPort = 26_379;

/** `redis+sentinel://user:password@host:port,host:port/name/database?sentinel_password=…` */
const sentinelForm =
  /^(?<tls>rediss?)\+sentinel:\/\/(?:(?<user>[^@/]*)@)?(?<hosts>[^@/?]+)\/(?<name>[^/?]+)(?:\/(?<database>\d*))?(?:\?(?<query>.*))?$/;

/** `redis+cluster://user:password@host:port,host:port`, or `redis://` with several hosts. */
const clusterForm =
  /^(?<tls>rediss?)(?<mark>\+cluster)?:\/\/(?:(?<user>[^@/]*)@)?(?<hosts>[^@/?]+)(?:\/(?<database>\d*))?$/;

/**
 * Reads `redis://`, `redis+sentinel://`, `redis+cluster://` and these with `rediss` for TLS. Undefined if it is none of
 * them.
 */
export function parseRedisUrl(text: string): RedisUrl | undefined {
  try {
    if (/^rediss?\+sentinel:/.test(text)) return parseSentinelUrl(text);
    return parseClusterUrl(text) ?? parsePlainUrl(text);
  } catch {
    // Text after % that is no encoding.
    return undefined;
  }
}

/** Reads `host`, `host:port`, `[::1]:port`, or one of these as `redis://user:password@host:port`. */
export function parseSentinel(
  text: string,
): (RedisHost & RedisUser & { readonly isTls?: boolean }) | undefined {
  if (!text.includes('://')) return parseHost(text, sentinelPort);
  const url = parseRedisUrl(text.endsWith('/') ? text.slice(0, -1) : text);
  if (url === undefined || url.masterName !== undefined) return undefined;
  const [{ host }] = url.hosts as [RedisHost];
  const port = Number(new URL(text).port) || sentinelPort;
  return { ...userOf(url.username ?? '', url.password ?? ''), host, port, isTls: url.isTls };
}

function parsePlainUrl(text: string): RedisUrl | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, hostname, port, username, password, pathname } = new URL(text);
  if (protocol !== 'redis:' && protocol !== 'rediss:') return undefined;
  const database = Number(pathname.slice(1));
  // Several hosts are a cluster, which has no other databases.
  if (!Number.isInteger(database) || hostname.includes(',')) return undefined;
  return {
    ...userOf(decodeURIComponent(username), decodeURIComponent(password)),
    isTls: protocol === 'rediss:',
    database,
    isCluster: false,
    hosts: [{ host: hostname.replace(/^\[|\]$/g, '') || 'localhost', port: Number(port) || redisPort }],
  };
}

function parseSentinelUrl(text: string): RedisUrl | undefined {
  const parts = sentinelForm.exec(text)?.groups;
  if (parts === undefined) return undefined;
  const hosts = parts['hosts']!.split(',').map((host) => parseHost(host, sentinelPort));
  if (!hosts.every((host) => host !== undefined)) return undefined;
  const [username = '', ...password] = (parts['user'] ?? '').split(':');
  const query = new URLSearchParams(parts['query'] ?? '');
  if (![...query.keys()].every((key) => key === 'sentinel_username' || key === 'sentinel_password'))
    return undefined;
  return {
    ...userOf(decodeURIComponent(username), decodeURIComponent(password.join(':'))),
    isTls: parts['tls'] === 'rediss',
    database: Number(parts['database'] ?? 0),
    hosts,
    isCluster: false,
    masterName: decodeURIComponent(parts['name']!),
    sentinelUser: userOf(query.get('sentinel_username') ?? '', query.get('sentinel_password') ?? ''),
  };
}

/** Undefined if it is not the address of a cluster. A cluster has no numbered databases. */
function parseClusterUrl(text: string): RedisUrl | undefined {
  const parts = clusterForm.exec(text)?.groups;
  const names = parts?.['hosts']!.split(',') ?? [];
  if (parts === undefined || (parts['mark'] === undefined && names.length < 2)) return undefined;
  const hosts = names.map((host) => parseHost(host, redisPort));
  if (!hosts.every((host) => host !== undefined) || Number(parts['database'] ?? 0) !== 0) return undefined;
  const [username = '', ...password] = (parts['user'] ?? '').split(':');
  return {
    ...userOf(decodeURIComponent(username), decodeURIComponent(password.join(':'))),
    isTls: parts['tls'] === 'rediss',
    database: 0,
    hosts,
    isCluster: true,
  };
}

function parseHost(text: string, usualPort: number): RedisHost | undefined {
  const parts = /^(?:\[(?<six>[\da-fA-F:.]+)\]|(?<name>[^:[\]@/?#\s]+))(?::(?<port>\d{1,5}))?$/.exec(
    text,
  )?.groups;
  if (parts === undefined) return undefined;
  const port = Number(parts['port'] ?? usualPort);
  return port < 1 || port > 65_535 ? undefined : { host: (parts['six'] ?? parts['name'])!, port };
}

function userOf(username: string, password: string): RedisUser {
  return { ...(username !== '' && { username }), ...(password !== '' && { password }) };
}
