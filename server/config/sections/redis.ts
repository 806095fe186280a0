import { z } from 'zod';
import { count, positive, setting, text } from '../setting.js';

const redisAddress = z
  .string()
  .refine(
    (url) => URL.canParse(url) && ['redis:', 'rediss:'].includes(new URL(url).protocol),
    'must be redis://[[user]:password@]host[:port][/database], or rediss:// for TLS',
  );

/** Redis, which makes several replicas one cluster. */
export const redis = z
  .strictObject({
    url: setting(redisAddress.optional(), 'Address of Redis. Without it the service runs alone, in memory.'),
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
  .prefault({});
