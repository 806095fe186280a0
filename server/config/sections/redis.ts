import { z } from 'zod';
import { parseRedisUrl, parseSentinel } from '../redis-url.js';
import { count, optionalText, positive, setting, text } from '../setting.js';

const redisUrl = z
  .string()
  .refine(
    (url) => parseRedisUrl(url) !== undefined,
    'must be redis://[[user]:password@]host[:port][/database], rediss:// for TLS, redis+sentinel://[[user]:password@]host[:port],host[:port]/name[/database] for Redis under Sentinel, or redis+cluster://[[user]:password@]host[:port],host[:port] for a Redis Cluster',
  );

/** An address that cannot be read is refused by itself. */
function isCluster(url: string): boolean {
  return parseRedisUrl(url)?.isCluster === true;
}

const sentinel = z
  .string()
  .refine(
    (text) => parseSentinel(text) !== undefined,
    'must be host[:port], or redis://[user]:password@host[:port] for a Sentinel with a password',
  );

/** Redis, which makes several replicas one cluster. */
export const redis = z
  .strictObject({
    url: setting(
      redisUrl.optional(),
      'Address of Redis. `redis+cluster://` and some nodes of a Redis Cluster, or `redis://` and several hosts: the others are found by them. Without it, and without `redis.sentinels`, the service runs alone, in memory.',
    ),
    sentinels: setting(
      z.array(sentinel).max(31).default([]),
      'Addresses of the Sentinels that know which Redis is the primary: `host:26379`. Name all of them. User, password, database and TLS are taken from `redis.url`, its host is not.',
    ),
    sentinel_master_name: setting(
      z.string().min(1).default('mymaster'),
      'The name by which the Sentinels know the primary.',
    ),
    tls_ca_file: setting(
      optionalText(),
      'File with the certificates (PEM) of the authorities that Redis is trusted by, instead of those that Node knows.',
    ),
    tls_cert_file: setting(
      optionalText(),
      'File with the certificate (PEM) that the service shows to Redis, which asks for one unless it has `tls-auth-clients no`.',
    ),
    tls_key_file: setting(optionalText(), 'File with the key (PEM) of `redis.tls_cert_file`.'),
    tls_server_name: setting(
      optionalText(),
      'The name that the certificates of Redis and Sentinel have to carry. Default: the host that is connected; Sentinel often gives an IP address.',
    ),
    key_prefix: setting(text('rtc'), 'Prefix of every key and channel.'),
    command_timeout_ms: setting(
      positive(2000),
      'Redis counts as stalled when a command is unanswered for this long.',
    ),
    stall_limit_ms: setting(positive(15_000), 'A stall of this length closes the connection to Redis.'),
    outcome_limit_ms: setting(
      positive(30_000),
      'The outcome of an interrupted publish is looked up for this long.',
    ),
    reserved_memory_percent: setting(
      count(10, 40),
      'Share of the `maxmemory` of Redis that publishes never use, so that changes of operators, revocations and sessions can still be stored. When less than twice this share is free, each user may add only a small part of what is left. 0: publishes may fill Redis.',
    ),
    wait_replicas: setting(
      count(0, 16),
      'Number of Redis replicas whose confirmation is awaited before a message is acknowledged, for a second. `durability` in the answer says whether they have it.',
    ),
    wait_replicas_mode: setting(
      z.enum(['report', 'require']).default('report'),
      'When fewer Redis replicas than `wait_replicas` have confirmed a message: it is acknowledged as `stored`, or refused with `outcome_unknown`, because it is in Redis all the same.',
    ),
    readiness: setting(
      z.enum(['reachable', 'writable']).default('reachable'),
      'When `/health/ready` says that the replica is ready: if Redis answers, or if it accepts writes, too.',
    ),
  })
  .refine(({ tls_cert_file: cert, tls_key_file: key }) => (cert === undefined) === (key === undefined), {
    path: ['tls_key_file'],
    error: 'must be set together with redis.tls_cert_file',
  })
  .refine(({ url, sentinels }) => sentinels.length === 0 || url === undefined || !isCluster(url), {
    path: ['sentinels'],
    error: 'must be empty for a Redis Cluster: its nodes are named by redis.url',
  })
  // Sentinels are enough: the rest of an address can be left out.
  .transform((redis) =>
    redis.url === undefined && redis.sentinels.length > 0 ? { ...redis, url: 'redis://sentinel' } : redis,
  )
  .prefault({});
