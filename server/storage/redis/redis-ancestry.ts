import { ErrorReply } from 'redis';
import type { RedisProcess } from './redis-process.js';

/** A Redis, by what it continues. */
export interface RedisOrigin {
  /** Names of the history that it writes, see {@link RedisProcess}. */
  readonly histories: readonly string[];
  /** The histories that its data have been through, its own included. */
  readonly passed: readonly string[];
}

type Call = (args: string[]) => Promise<unknown>;

/** Where the histories are noted that the data have been through. */
export function ancestryKey(keyPrefix: string): string {
  return `${keyPrefix}:histories`;
}

const keptMax = 64;

/**
 * After a failover two Redis may accept writes: the new primary, and the old one if nobody stopped it. What the old
 * one stores is lost when it is demoted. This tells them apart: the data carry a note of each history that they have
 * been through, and a replica remembers the note of the newest Redis that it knows. A Redis which writes a history
 * that the newest one has left behind is stale.
 *
 * Two Redis of which neither continues the other (an older copy was restored, or both were promoted from one) are not
 * told apart: then REDIS_URL decides.
 */
export class RedisAncestry {
  private newest: RedisOrigin | undefined;

  constructor(
    /** See {@link ancestryKey}. */
    private readonly key: string,
    private readonly now: () => number,
  ) {}

  /** Reads the note of a Redis, and adds its own history. Rejects as `call` does. */
  async originOf(call: Call, { histories, promotedFrom }: RedisProcess): Promise<RedisOrigin> {
    const own = promotedFrom === undefined ? histories : [...histories, promotedFrom];
    const at = String(Math.round(this.now()));
    // A foreign value, or a Redis without memory for one more: then it is known by its own history alone.
    const unlessRefused = (reply: Promise<unknown>) =>
      reply.catch((error: unknown) => {
        if (!(error instanceof ErrorReply)) throw error;
        return [];
      });
    const [noted] = await Promise.all([
      unlessRefused(call(['ZRANGE', this.key, '0', '-1'])),
      unlessRefused(call(['ZADD', this.key, 'NX', ...own.flatMap((name) => [at, name])])),
      unlessRefused(call(['ZREMRANGEBYRANK', this.key, '0', String(-1 - keptMax)])),
    ]);
    return { histories, passed: [...new Set([...own, ...(noted as string[])])] };
  }

  /** Whether this Redis writes a history that the newest known one has left behind. */
  isStale({ histories, passed }: RedisOrigin): boolean {
    const { newest } = this;
    return newest !== undefined && overlap(histories, newest.passed) && !overlap(newest.histories, passed);
  }

  /** Whether this Redis continues the newest known one and is another. */
  isSuccessor({ histories, passed }: RedisOrigin): boolean {
    const { newest } = this;
    return newest !== undefined && overlap(newest.histories, passed) && !overlap(histories, newest.passed);
  }

  /** From now on this one counts as the newest. */
  use(origin: RedisOrigin): void {
    this.newest = origin;
  }

  get current(): RedisOrigin | undefined {
    return this.newest;
  }
}

function overlap(some: readonly string[], others: readonly string[]): boolean {
  return some.some((name) => others.includes(name));
}
