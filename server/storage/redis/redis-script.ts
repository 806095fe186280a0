import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ErrorReply } from 'redis';
import type { RedisArgument, RedisLink } from './redis-link.js';

/** A Lua script of `lua/`, called by its digest and sent whole only where Redis does not know it. */
export class RedisScript {
  private readonly source: string;
  private readonly digest: string;

  constructor(name: string) {
    this.source = readFileSync(join(__dirname, 'lua', `${name}.lua`), 'utf8');
    this.digest = createHash('sha1').update(this.source).digest('hex');
  }

  /** Runs the script. Errors as {@link RedisLink.call}. `behind` is called right after each sending, to send what belongs behind it. */
  async run<Reply>(
    link: RedisLink,
    keys: readonly string[],
    args: readonly RedisArgument[],
    form: 'strings' | 'buffers' = 'strings',
    behind?: () => void,
  ): Promise<Reply> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      const reply = link.call<Reply>(['EVALSHA', this.digest, ...rest], form);
      behind?.();
      return await reply;
    } catch (error) {
      if (!(error instanceof ErrorReply) || !error.message.startsWith('NOSCRIPT')) throw error;
      const reply = link.call<Reply>(['EVAL', this.source, ...rest], form);
      behind?.();
      return reply;
    }
  }
}
