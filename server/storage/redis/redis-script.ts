import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { ErrorReply } from 'redis';
import { luaSource } from './lua-source.js';
import type { RedisArgument, RedisCaller } from './redis-store.js';

/**
 * A Lua script of `lua/`, called by its digest. The text is sent only if Redis does not have the script in
 * its cache.
 */
export class RedisScript {
  private readonly source: string;
  private readonly digest: string;

  constructor(name: string) {
    this.source = luaSource(join(__dirname, 'lua'), name);
    this.digest = createHash('sha1').update(this.source).digest('hex');
  }

  /**
   * Runs the script. Errors as `RedisNode.call`. `afterSending` is called right after each sending, to
   * send commands that must follow the script on the connection.
   */
  async run<Reply>(
    link: RedisCaller,
    keys: readonly string[],
    args: readonly RedisArgument[],
    form: 'strings' | 'buffers' = 'strings',
    afterSending?: () => void,
  ): Promise<Reply> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      const reply = link.call<Reply>(['EVALSHA', this.digest, ...rest], form);
      afterSending?.();
      return await reply;
    } catch (error) {
      if (!(error instanceof ErrorReply) || !error.message.startsWith('NOSCRIPT')) throw error;
      const reply = link.call<Reply>(['EVAL', this.source, ...rest], form);
      afterSending?.();
      return reply;
    }
  }
}
