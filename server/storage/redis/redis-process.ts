import { infoFields } from './redis-info.js';

/** The identity and configuration of the connected Redis process. */
export interface RedisProcess {
  readonly runId: string;
  /** Every write is synced to disk before the reply. */
  readonly fsyncAlways: boolean;
}

/** The result of an identification: a process that holds the log, or the reason why it cannot serve now. */
type Identified = RedisProcess | 'loading' | 'replica';

/** Identifies the Redis process. Rejects as `call` does. */
export async function identifyRedis(call: (args: string[]) => Promise<unknown>): Promise<Identified> {
  const field = infoFields(String(await call(['INFO'])));
  if (field('loading') === '1') return 'loading';
  if (field('role') === 'slave') return 'replica';
  const fsyncAlways = field('aof_enabled') === '1' && (await fsyncsAlways(call));
  return { runId: field('run_id') ?? 'unknown', fsyncAlways };
}

async function fsyncsAlways(call: (args: string[]) => Promise<unknown>): Promise<boolean> {
  try {
    const settings = (await call(['CONFIG', 'GET', '*appendfsync*'])) as string[];
    const value = (name: string) => settings[settings.indexOf(name) + 1];
    return value('appendfsync') === 'always' && value('no-appendfsync-on-rewrite') === 'no';
  } catch {
    // If the configuration cannot be read, no durability is promised.
    return false;
  }
}
