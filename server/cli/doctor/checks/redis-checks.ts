import { failure, warning, well, type Check, type DoctorCode } from '../codes.js';
import { metricsOf, type Observations, type RedisObservation } from '../observations.js';

/** Round trips to Redis, in milliseconds. Each publish waits for one. */
const pingMs = { warning: 10, failure: 100 } as const;
/** A share of `maxmemory` from which it is a warning. */
const nearly = 0.8;

/** Redis: as the service sees it, and as it is seen from here where its address is given. */
export function redisChecks(seen: Observations): Check[] {
  const found = [...(seen.redis ? direct(seen.redis, seen) : []), ...ofService(seen)];
  const codes = new Set(found.map(({ code }) => code));
  const { refused_by: by, outage } = seen.health?.redis ?? {};
  // Why Redis refuses writes may have a code of its own.
  const cause = causeOf[by ?? ''];
  const isExplained = ({ code }: Check) =>
    (code === 'RTC-REDIS-02' && cause !== undefined && codes.has(cause)) ||
    (code === 'RTC-REDIS-01' &&
      ((outage === 'password' && codes.has('RTC-REDIS-08')) ||
        found.some((one) => one.code === 'RTC-REDIS-07' && one.level === 'failure')));
  // What both have seen is found once, at its worst.
  const isWorst = (check: Check) => {
    const same = found.filter(({ code }) => code === check.code);
    return (same.find(({ level }) => level === 'failure') ?? same[0]) === check;
  };
  const checks = found.filter((check) => check.code === null || (isWorst(check) && !isExplained(check)));
  const hasFinding = checks.some(({ code }) => code !== null);
  return hasFinding ? checks.filter(({ code }) => code !== null) : checks;
}

/** What explains that Redis refuses writes, by its code for that. */
const causeOf: Readonly<Record<string, DoctorCode | undefined>> = {
  OOM: 'RTC-REDIS-03',
  memory: 'RTC-REDIS-03',
  MISCONF: 'RTC-REDIS-06',
  READONLY: 'RTC-REDIS-07',
  NOPERM: 'RTC-REDIS-08',
};

/** The cause in words, and the remedy, by the code of Redis. */
const refusals: Readonly<Record<string, readonly [string, string] | undefined>> = {
  MISCONF: [
    'it cannot save its data: its disk is full, or it may not write there',
    'df -h; redis-cli -u "$REDIS_URL" config get dir   # on the machine of Redis: make room there',
  ],
  READONLY: [
    'it is a read-only replica',
    'redis-cli -u "$REDIS_URL" info replication   # REDIS_URL has to name the primary, or Sentinel',
  ],
  NOREPLICAS: [
    'it has fewer replicas than it needs for writes',
    'redis-cli -u "$REDIS_URL" config get min-replicas-to-write   # start its replicas, or lower this',
  ],
};
const aclRemedy = 'rtc redis acl | redis-cli -u "$REDIS_URL_OF_AN_ADMIN"';

/** Redis, as the service sees it. */
function ofService(seen: Observations): Check[] {
  const { health } = seen;
  if (health === null) return [];
  const {
    state,
    outage,
    writes,
    memory,
    refused_by: refusedBy,
    adapter_denied: isAdapterDenied,
  } = health.redis;
  if (state === 'none') return [well('redis', 'one replica in memory, without Redis')];
  const checks: Check[] = [];
  // A primary that became a replica answers, but is not used. That it is gone as well would be another outage.
  const isDemoted =
    writes === 'refused' && refusedBy === 'READONLY' && ['unreachable', null].includes(outage);
  // Of a Redis Cluster a part can be down.
  const isDown = state === 'down' || outage !== null;
  if (isDown && !isDemoted) {
    const why = {
      stalled: 'it does not answer',
      password: 'it refuses the user or the password',
      tls: 'TLS with it fails',
      clients: 'it accepts no more connections',
      stale: 'it is a primary that another one has replaced',
      sentinel: 'Sentinel does not say where it is',
      cluster: 'it does not serve all slots',
    };
    const reason = why[outage as keyof typeof why] ?? 'it is not reached';
    const what = state === 'down' ? 'Redis' : 'a part of the Redis Cluster';
    const remedy = {
      password:
        'redis-cli -u "$REDIS_URL" ping   # NOAUTH, WRONGPASS: user and password in REDIS_URL; PONG: rtc redis acl prints the rights it needs',
      clients: 'redis-cli -u "$REDIS_URL" config get maxclients   # and: client list',
      cluster: 'redis-cli --cluster check HOST:6379   # one of its nodes',
      tls: 'rtc config explain redis   # redis.tls_ca_file, and rediss:// in REDIS_URL',
    }[outage ?? ''];
    checks.push(
      failure(
        'RTC-REDIS-01',
        `${what} is unavailable: ${reason}`,
        remedy ??
          (state === 'down'
            ? 'redis-cli -u "$REDIS_URL" ping'
            : 'redis-cli --cluster check HOST:6379   # one of its nodes'),
      ),
    );
  } else if (writes === 'refused' && refusedBy === 'NOPERM')
    checks.push(
      failure(
        'RTC-REDIS-08',
        'the user of Redis lacks rights: Redis refuses what the service sends',
        aclRemedy,
      ),
    );
  else if (writes === 'refused') {
    const [why, remedy] = refusals[refusedBy ?? ''] ?? [
      undefined,
      'redis-cli -u "$REDIS_URL" info persistence replication memory',
    ];
    checks.push(
      failure('RTC-REDIS-02', `Redis refuses writes${why === undefined ? '' : `: ${why}`}`, remedy),
    );
  } else if (isAdapterDenied === true && state === 'up')
    checks.push(
      failure(
        'RTC-REDIS-08',
        'the user of Redis may not subscribe to the patterns of Socket.IO: what a program sends by io reaches the clients of one replica only',
        aclRemedy,
      ),
    );
  if (memory !== null && memory.level !== 'ample' && state !== 'down') {
    const level = memory.level === 'scarce' ? warning : failure;
    checks.push(
      level(
        'RTC-REDIS-03',
        `the memory of Redis is ${memory.level}`,
        'redis-cli -u "$REDIS_URL" --bigkeys   # and maxmemory',
      ),
    );
  }
  const policies = metricsOf(seen).flatMap(({ redis }) =>
    redis.memory === null ? [] : [redis.memory.policy],
  );
  const evicting = policies.find((policy) => policy !== 'noeviction' && policy !== '');
  if (evicting !== undefined)
    checks.push(
      failure(
        'RTC-REDIS-04',
        `Redis may delete messages and sessions: maxmemory-policy is ${evicting}`,
        'redis-cli -u "$REDIS_URL" config set maxmemory-policy noeviction',
      ),
    );
  return checks.length === 0 ? [well('redis', 'Redis answers, and accepts writes')] : checks;
}

/** Redis itself. */
function direct(redis: RedisObservation, { health }: Observations): Check[] {
  const { address, problem, ping_ms: ping, fields, policy, advice, denied } = redis;
  if (problem !== null) {
    // The service may reach it from where it is.
    const level = health?.redis.state === 'up' ? warning : failure;
    const text = `Redis at ${address} is not reached from here: ${problem}`;
    return [level('RTC-REDIS-01', text, 'redis-cli -u "$REDIS_URL" ping')];
  }
  const checks: Check[] = [];
  const found = (level: typeof failure, code: DoctorCode, text: string, remedy: string) =>
    checks.push(level(code, text, remedy));
  if (ping !== null && ping.median >= pingMs.warning)
    found(
      ping.median >= pingMs.failure ? failure : warning,
      'RTC-REDIS-05',
      `a round trip to Redis takes ${ping.median} ms (median of 20; the slowest ${ping.worst} ms)`,
      'redis-cli -u "$REDIS_URL" slowlog get 5   # and: redis-cli --latency',
    );
  if (policy !== null && policy !== 'noeviction')
    found(
      failure,
      'RTC-REDIS-04',
      `Redis may delete messages and sessions: maxmemory-policy is ${policy}`,
      'redis-cli -u "$REDIS_URL" config set maxmemory-policy noeviction',
    );
  const [used, max] = [Number(fields['used_memory'] ?? 0), Number(fields['maxmemory'] ?? 0)];
  if (max > 0 && used >= max * nearly)
    found(
      used >= max ? failure : warning,
      'RTC-REDIS-03',
      `Redis uses ${Math.round((used / max) * 100)} % of its maxmemory`,
      'redis-cli -u "$REDIS_URL" --bigkeys   # and maxmemory',
    );
  if (
    fields['rdb_last_bgsave_status'] === 'err' ||
    (fields['aof_enabled'] === '1' && fields['aof_last_write_status'] === 'err')
  )
    found(
      failure,
      'RTC-REDIS-06',
      'the last write of Redis to its disk failed',
      'df -h   # on the machine of Redis, and its log',
    );
  if (fields['role'] === 'slave')
    found(
      failure,
      'RTC-REDIS-07',
      `Redis is a replica (the link to its primary is ${fields['master_link_status'] ?? 'unknown'})`,
      'redis-cli -u "$REDIS_URL" info replication   # REDIS_URL has to name the primary, or Sentinel',
    );
  for (const { kind, problem: text, remedy } of advice) {
    const code =
      ({ persistence: 'RTC-REDIS-06', replication: 'RTC-REDIS-07' } as const)[kind] ?? 'RTC-REDIS-09';
    found(warning, code, text, remedy);
  }
  if (denied.length > 0)
    found(failure, 'RTC-REDIS-08', `this user of Redis may not send ${denied.join(', ')}`, aclRemedy);
  if (checks.length === 0)
    checks.push(
      well(
        'redis',
        `Redis ${redis.version ?? ''} at ${address} answers in ${ping?.median ?? 0} ms, and its settings suit`,
      ),
    );
  return checks;
}
