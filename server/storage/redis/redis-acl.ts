import { createHash } from 'node:crypto';

/** The commands that the service sends, and those of its scripts. A test compares this list with the source. */
export const redisCommands: readonly string[] = [
  ...[
    'config|get',
    'del',
    'eval',
    'evalsha',
    'exists',
    'get',
    'getrange',
    'hdel',
    'hexists',
    'hget',
    'hgetall',
  ],
  ...[
    'hincrby',
    'hkeys',
    'hlen',
    'hmget',
    'hscan',
    'hset',
    'incr',
    'info',
    'mget',
    'pexpire',
    'ping',
    'psubscribe',
  ],
  ...[
    'pttl',
    'publish',
    'pubsub|numsub',
    'punsubscribe',
    'sadd',
    'scan',
    'select',
    'set',
    'srandmember',
    'srem',
  ],
  ...['sscan', 'subscribe', 'time', 'type', 'unsubscribe', 'wait', 'xadd', 'xdel', 'xinfo|stream', 'xlen'],
  ...[
    'xrange',
    'xrevrange',
    'xtrim',
    'zadd',
    'zcard',
    'zcount',
    'zrange',
    'zrangebyscore',
    'zrem',
    'zremrangebyrank',
    'zscore',
  ],
];

/** Further commands that the service sends to the nodes of a Redis Cluster, and that its adapter does. */
export const clusterCommands: readonly string[] = [
  'asking',
  'cluster|nodes',
  'pubsub|shardnumsub',
  'spublish',
  'ssubscribe',
  'sunsubscribe',
];

/** Commands that only newer versions of Redis know. The line is refused by older ones that have to allow them. */
const newerCommands: readonly { readonly command: string; readonly since: string }[] = [
  { command: 'waitaof', since: '7.2' },
];

/** Who gets which rights. */
interface AclRule {
  readonly username: string;
  readonly password: string;
  readonly keyPrefix: string;
  /** See `database.ts`. */
  readonly channelMark: string;
  /** Namespaces of Socket.IO: the adapter listens to a pattern for each, which must be allowed by name. */
  readonly namespaces: readonly string[];
  /** `7.0` */
  readonly redisVersion: string;
  /** The user is one of a Redis Cluster: each node has its own users. */
  readonly isCluster?: boolean;
}

/** The line for `redis-cli` by which a user gets the rights that the service needs, and no others. The password is given by its hash. */
export function aclLine(rule: AclRule): string {
  const { username, password, keyPrefix, channelMark, namespaces, redisVersion, isCluster = false } = rule;
  const under = escaped(keyPrefix);
  const io = `${keyPrefix}${channelMark}:io`;
  const newer = newerCommands.filter(({ since }) => !isBefore(redisVersion, since));
  const words = [
    ...['ACL', 'SETUSER', username, 'reset', 'on'],
    `#${createHash('sha256').update(password).digest('hex')}`,
    `~${under}:*`,
    `&${under}:*`,
    ...namespaces.map((namespace) => `&${io}#${namespace}#*`),
    ...[...redisCommands, ...(isCluster ? clusterCommands : []), ...newer.map(({ command }) => command)].map(
      (command) => `+${command}`,
    ),
  ];
  return words.map(quoted).join(' ');
}

/** Characters with a meaning in patterns of Redis. */
function escaped(text: string): string {
  return text.replace(/[*?[\]\\^]/g, '\\$&');
}

/** As `redis-cli` reads a word. */
function quoted(word: string): string {
  return /[\s"'\\]/.test(word) ? `"${word.replace(/["\\]/g, '\\$&')}"` : word;
}

function isBefore(version: string, other: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [otherMajor = 0, otherMinor = 0] = other.split('.').map(Number);
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}
