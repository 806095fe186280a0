import { redisAddressOf } from '../../../config/redis-address.js';
import { withTimeout } from '../../../primitives/with-timeout.js';
import { databaseMark } from '../../../storage/redis/database.js';
import { adviceFor } from '../../../storage/redis/redis-advice.js';
import { destroy, newRedisClient, type RedisClient } from '../../../storage/redis/redis-client.js';
import { infoFields } from '../../../storage/redis/redis-info.js';
import { lackingRights } from '../../../storage/redis/redis-rights.js';
import type { RedisTls } from '../../../storage/redis/redis-tls.js';
import type { RedisObservation } from '../observations.js';

/** Round trips that are measured. */
const pings = 20;
const settings = [
  'save',
  'appendonly',
  'min-replicas-to-write',
  'client-output-buffer-limit',
  'maxmemory-policy',
] as const;

interface RedisLookSettings {
  readonly timeoutMs: number;
  readonly keyPrefix: string;
  /** Of Socket.IO: its adapter listens to a pattern for each. */
  readonly namespaces: readonly string[];
  /** For an address with TLS. */
  readonly tls: RedisTls;
}

/** Looks at a Redis itself: whether it answers, how fast, and how it is set up. Never rejects. */
export async function lookAtRedis(
  url: string,
  { timeoutMs, keyPrefix, namespaces, tls }: RedisLookSettings,
): Promise<RedisObservation> {
  const nothing = { ping_ms: null, version: null, advice: [], fields: {}, policy: null, denied: [] };
  let address: ReturnType<typeof redisAddressOf>;
  try {
    address = redisAddressOf({ url, sentinels: [], sentinelMasterName: '' });
  } catch {
    address = undefined;
  }
  // Of a cluster, its first node: they are set up alike.
  const host = address?.host ?? address?.cluster?.[0];
  if (address === undefined || host === undefined)
    return { ...nothing, address: '', problem: 'this is no address of one Redis, such as redis://host:6379' };
  const { isTls, host: _host, cluster: _nodes, sentinel: _none, ...access } = address;
  const shown = `${host.host}:${host.port}`;
  const client = newRedisClient(host, { ...access, ...(isTls && { tls }) });
  let problem = 'no answer';
  client.on('error', (error: Error) => (problem = error.message));
  try {
    await withTimeout(client.connect(), timeoutMs);
    const patterns = namespaces.map((one) => `${keyPrefix}${databaseMark(url)}:io#${one}#*`);
    return { ...(await look(client, { keyPrefix, timeoutMs, patterns })), address: shown, problem: null };
  } catch (error) {
    const reason = error instanceof Error && error.message !== '' ? error.message : problem;
    return { ...nothing, address: shown, problem: problem === 'no answer' ? reason : problem };
  } finally {
    destroy(client);
  }
}

async function look(
  client: RedisClient,
  {
    keyPrefix,
    timeoutMs,
    patterns,
  }: Pick<RedisLookSettings, 'keyPrefix' | 'timeoutMs'> & { readonly patterns: readonly string[] },
): Promise<Omit<RedisObservation, 'address' | 'problem'>> {
  const call = <Reply>(args: readonly string[]): Promise<Reply> =>
    withTimeout(client.sendCommand<Reply>([...args]), timeoutMs);
  const times: number[] = [];
  for (let n = 0; n < pings; n++) {
    const startedAt = performance.now();
    await call(['PING']).catch(refusedOnly);
    times.push(performance.now() - startedAt);
  }
  const info = await call<string>(['INFO']).catch(() => '');
  const shown = new Map<string, string>();
  for (const name of settings) {
    const [, value] = await call<string[]>(['CONFIG', 'GET', name]).catch(() => []);
    if (value !== undefined) shown.set(name, value);
  }
  const field = infoFields(info);
  const isCluster = field('cluster_enabled') === '1';
  const denied = await lackingRights(call, { keyPrefix, isCluster });
  const attempt = (name: string, work: Promise<unknown>) =>
    work.catch((error: Error) => {
      if (error.message.startsWith('NOPERM')) denied.push(name);
    });
  // Last: nothing else is sent on a connection that has subscribed. A Redis Cluster has channels of slots instead of patterns.
  await attempt(
    'subscribe',
    withTimeout(
      client.subscribe(`${keyPrefix}:doctor`, () => {}),
      timeoutMs,
    ),
  );
  for (const pattern of isCluster ? [] : patterns)
    await attempt(
      `psubscribe ${pattern}`,
      withTimeout(
        client.pSubscribe(pattern, () => {}),
        timeoutMs,
      ),
    );
  times.sort((one, other) => one - other);
  return {
    ping_ms: { median: rounded(times[pings / 2]!), worst: rounded(times[pings - 1]!) },
    version: field('redis_version') ?? null,
    advice: adviceFor(info, shown).map(({ kind, problem, remedy }) => ({ kind, problem, remedy })),
    fields: Object.fromEntries(
      fieldsRead.flatMap((name) => {
        const value = field(name);
        return value === undefined ? [] : [[name, value]];
      }),
    ),
    policy: shown.get('maxmemory-policy') ?? field('maxmemory_policy') ?? null,
    denied,
  };
}

const fieldsRead = [
  'role',
  'master_link_status',
  'loading',
  'used_memory',
  'maxmemory',
  'rdb_last_bgsave_status',
  'aof_enabled',
  'aof_last_write_status',
  'connected_slaves',
];

function rounded(ms: number): number {
  return Number(ms.toFixed(1));
}

/** A refusal is an answer. */
function refusedOnly(error: Error): void {
  if (!/^(NOPERM|LOADING|MASTERDOWN|BUSY|MISCONF)/.test(error.message)) throw error;
}
