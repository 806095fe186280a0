/** What is known of the Redis process that answers. */
export interface RedisProcess {
  readonly runId: string;
  /** Every write is on disk before it is answered. */
  readonly fsyncAlways: boolean;
}

/** What answers on a new connection: a process that holds the log, or why it cannot serve now. */
type Identified = RedisProcess | 'loading' | 'replica';

/** Asks Redis who it is. Rejects as `call` does. */
export async function identifyRedis(call: (args: string[]) => Promise<unknown>): Promise<Identified> {
  const info = String(await call(['INFO']));
  const field = (name: string) => new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim();
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
    // Where settings may not be read, nothing is promised.
    return false;
  }
}
