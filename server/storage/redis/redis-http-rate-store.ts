import { createHash } from 'node:crypto';
import type { Store } from 'express-rate-limit';
import { RedisStore, type RedisReply } from 'rate-limit-redis';
import { ErrorReply } from 'redis';
import type { RedisLink } from './redis-link.js';

/**
 * The counts of HTTP callers in Redis. The library loads its scripts when it is made, and never again if that fails; here they are kept, and
 * sent where Redis does not know them, so that it may be away at the start and forget everything later.
 */
export function redisHttpRateStore(link: RedisLink, settings: { readonly keyPrefix: string }): Store {
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
