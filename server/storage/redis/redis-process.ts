import { infoFields } from './redis-info.js';

/** The identity and configuration of the connected Redis process. */
export interface RedisProcess {
  readonly runId: string;
  /**
   * Names of the history of writes that this Redis continues: its `master_replid`, then the former ones of the
   * same process. Two processes never have the same name, and a process that was a replica meanwhile gets a
   * new one, so writes under a name that is not in the list may have lost what followed them.
   */
  readonly histories: readonly string[];
  /** The history from which this process was promoted; undefined: it was never promoted. */
  readonly promotedFrom: string | undefined;
  /** `master_repl_offset`: grows with every write of a history. */
  readonly offset: number;
  /** Every write is synced to disk before the reply. */
  readonly fsyncAlways: boolean;
  /** Has the command `WAITAOF` (from Redis 7.2 on). */
  readonly hasWaitAof: boolean;
}

/** The result of an identification: a process that holds the log, or the reason why it cannot serve now. */
export type Identified = RedisProcess | 'loading' | 'replica' | 'other mode' | 'too old';

/** What `INFO replication` says of the history. */
interface Replication {
  readonly isReplica: boolean;
  /** Undefined if the server has no replication ids. */
  readonly id: string | undefined;
  /** The history from which this process was promoted; undefined: it was never promoted. */
  readonly promotedFrom: string | undefined;
  readonly offset: number;
}

type Call = (args: string[]) => Promise<unknown>;

/** Names that are kept of one process: Redis changes the name when its first replica comes or its last one has left for long. */
const namesMax = 8;
/** The second replication id of a process that has none. */
const noId = /^0*$/;
const before70 = /^[1-6]\./;
const isFrom72 = /^(7\.[2-9]|[89]\.|\d\d)/;

/**
 * Identifies the Redis process. `before` is the one that was connected last; `inCluster`: whether it has to be a node
 * of a Redis Cluster. Rejects as `call` does.
 */
export async function identifyRedis(
  call: Call,
  before: RedisProcess | undefined,
  inCluster = false,
): Promise<Identified> {
  const info = String(await call(['INFO']));
  const field = infoFields(info);
  if ((field('cluster_enabled') === '1') !== inCluster) return 'other mode';
  // Channels of slots.
  if (inCluster && before70.test(field('redis_version') ?? '')) return 'too old';
  if (field('loading') === '1') return 'loading';
  const replication = readReplication(info);
  if (replication.isReplica) return 'replica';
  const fsyncAlways = field('aof_enabled') === '1' && (await fsyncsAlways(call));
  const runId = field('run_id') ?? 'unknown';
  const known = before?.runId === runId ? continued(before, replication) : undefined;
  const histories = known?.histories ?? [replication.id ?? runId];
  const hasWaitAof = isFrom72.test(field('redis_version') ?? '');
  const { promotedFrom, offset } = replication;
  return { runId, histories, promotedFrom, offset, fsyncAlways, hasWaitAof };
}

/** Reads the answer of `INFO replication`. */
export function readReplication(info: string): Replication {
  const field = infoFields(info);
  const promotedFrom = field('master_replid2') ?? '';
  return {
    isReplica: field('role') === 'slave',
    id: field('master_replid'),
    promotedFrom: noId.test(promotedFrom) ? undefined : promotedFrom,
    offset: Number(field('master_repl_offset') ?? 0),
  };
}

/**
 * What is known of a process after another look at it; undefined if it does not go on with the history that it had. A
 * process that was never a replica keeps its history, even if it changes the name. One that was demoted and promoted
 * has a second replication id, and may have taken over a shorter history. A smaller offset shows that, too.
 */
export function continued(before: RedisProcess, now: Replication): RedisProcess | undefined {
  const { histories } = before;
  const { isReplica, id = histories[0]!, promotedFrom, offset } = now;
  if (isReplica || offset < before.offset) return undefined;
  if (id === histories[0]) return { ...before, offset };
  if (promotedFrom !== undefined) return undefined;
  return { ...before, histories: [id, ...histories].slice(0, namesMax), offset };
}

async function fsyncsAlways(call: Call): Promise<boolean> {
  try {
    return saysAlways((await call(['CONFIG', 'GET', '*append*'])) as string[]);
  } catch {
    // If the configuration cannot be read, no durability is promised.
    return false;
  }
}

/** Whether the answer of `CONFIG GET *append*` says that every write is synced to disk before it is answered. */
export function saysAlways(settings: readonly string[]): boolean {
  const value = (name: string) => settings[settings.indexOf(name) + 1];
  return (
    value('appendonly') === 'yes' &&
    value('appendfsync') === 'always' &&
    value('no-appendfsync-on-rewrite') === 'no'
  );
}
