import { createHash } from 'node:crypto';
import type { Store } from 'express-rate-limit';
import { RedisStore, type RedisReply } from 'rate-limit-redis';
import { ErrorReply } from 'redis';
import type { RedisCaller } from './redis-store.js';

/**
 * The request counts of HTTP callers in Redis. The library loads its scripts only once, when it is
 * constructed. Here the scripts are kept and sent again if Redis does not have them, so Redis may be
 * unreachable at the start, or restart empty.
 */
export function redisHttpRateStore(link: RedisCaller, settings: { readonly keyPrefix: string }): Store {
  const sources = new Map<string, string>();
  const sendCommand = async (...args: string[]): Promise<RedisReply> => {
    const [command, digest = '', ...rest] = args;
    if (command === 'SCRIPT') {
      const source = args[2] ?? '';
      const loaded = createHash('sha1').update(source).digest('hex');
      sources.set(loaded, source);
      return loaded;
    }
    try {
      return await link.call<RedisReply>(args);
    } catch (error) {
      const source = sources.get(digest);
      if (!(error instanceof ErrorReply) || !error.message.startsWith('NOSCRIPT') || source === undefined)
        throw error;
      return link.call<RedisReply>(['EVAL', source, ...rest]);
    }
  };
  return new RedisStore({ sendCommand, prefix: `${settings.keyPrefix}:http-rate:` });
}
