/**
 * Harmless arguments for each right that can be tried: they change nothing, or are refused as wrong after the rights have been
 * checked. The last ones make a key and remove it, so that it does not stay whichever of them is refused. The other rights of
 * `redis-acl.ts` need no trial: a link without them does not come up, and says so, and the adapter names patterns.
 */
const trials: Readonly<Record<string, string>> = {
  ...{ eval: 'return 0', evalsha: `${'0'.repeat(40)} 0`, info: 'server', ping: '', time: '', wait: '0 0' },
  ...{ exists: 'TOPIC', get: 'KEY', getrange: 'KEY 0 0', mget: 'KEY', pttl: 'KEY', type: 'KEY' },
  ...{ scan: '0 COUNT 1', set: 'KEY x PX 0' },
  ...{ hexists: 'KEY x', hget: 'KEY x', hgetall: 'KEY', hkeys: 'KEY', hlen: 'KEY', hmget: 'KEY x' },
  ...{ hscan: 'KEY 0', hdel: 'KEY x', hincrby: 'KEY x x', hset: 'KEY x x x' },
  ...{ srandmember: 'KEY', sscan: 'KEY 0' },
  ...{ xlen: 'KEY', xrange: 'KEY - +', xrevrange: 'KEY + -', 'xinfo|stream': 'KEY' },
  ...{ xadd: 'KEY 0-0 x x', xdel: 'KEY 0-0', xtrim: 'KEY MAXLEN x' },
  ...{ zcard: 'KEY', zcount: 'KEY 0 0', zrange: 'KEY 0 0', zrangebyscore: 'KEY 0 0', zscore: 'KEY x' },
  ...{ zadd: 'KEY x x', zrem: 'KEY x', zremrangebyrank: 'KEY 0 0' },
  ...{ publish: 'TOPIC x', 'pubsub|numsub': 'TOPIC', unsubscribe: 'TOPIC', punsubscribe: 'TOPIC' },
  ...{ sadd: 'KEY x', incr: 'KEY', pexpire: 'KEY 1000', srem: 'KEY x', del: 'KEY' },
};
/** Those of a Redis Cluster. A node that does not have the slot says so only to a user with the right. */
const clusterTrials: Readonly<Record<string, string>> = {
  ...{ asking: '', spublish: 'TOPIC x', 'pubsub|shardnumsub': 'TOPIC', sunsubscribe: 'TOPIC' },
};

interface TriedRights {
  readonly keyPrefix: string;
  readonly isCluster: boolean;
}

/**
 * Tries the rights of the user of Redis. Resolves to those that it lacks: commands, as `rtc redis acl` names them, and the
 * patterns of keys and channels.
 *
 * @param send sends a command at once, on one connection that has not subscribed; rejects with the answer of Redis if that is an error
 */
export async function lackingRights(
  send: (args: string[]) => Promise<unknown>,
  { keyPrefix, isCluster }: TriedRights,
): Promise<string[]> {
  const lacking = new Set<string>();
  // No topic has this name.
  const names: Readonly<Record<string, string>> = { KEY: `${keyPrefix}:rights`, TOPIC: `${keyPrefix}:{}` };
  const answers = Object.entries({ ...trials, ...(isCluster && clusterTrials) }).map(([right, text]) => {
    const args = text === '' ? [] : text.split(' ').map((word) => names[word] ?? word);
    return send([...right.toUpperCase().split('|'), ...args]).catch(({ message }: Error) => {
      if (message.startsWith('NOPERM')) lacking.add(lackingOf(message, right, keyPrefix));
    });
  });
  await Promise.all(answers);
  return [...lacking];
}

/** Redis names the command, a key or a channel, in words that differ from version to version. */
function lackingOf(message: string, right: string, keyPrefix: string): string {
  if (/ keys?\b/.test(message)) return `keys ${keyPrefix}:*`;
  return / channels?\b/.test(message) ? `channels ${keyPrefix}:*` : right;
}
