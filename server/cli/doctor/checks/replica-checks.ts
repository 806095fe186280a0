import { failure, warning, well, type Check } from '../codes.js';
import type { Observations } from '../observations.js';

/** An alert of the last hour says how replicas are. */
const alertMs = 3_600_000;

/** Whether messages of one replica do not reach another because they do not share one Redis. */
export function isSplitCluster({ replicas, probe, health }: Observations): boolean {
  const isLost = probe?.failures.some(({ step }) => step === 'receive') ?? false;
  const isAlone = health?.redis.state === 'none' && replicas.length > 1;
  return isLost && (isAlone || replicas.some(({ differences }) => differences.includes('redis.url')));
}

/** Without Redis, a part of its cluster, or the right to publish, a replica cannot ask the others. */
export function isCutOff({ health }: Observations): boolean {
  const { state, outage, refused_by: refusedBy } = health?.redis ?? {};
  return state === 'down' || (outage ?? null) !== null || refusedBy === 'NOPERM';
}

/** Replicas among each other. */
export function replicaChecks(seen: Observations): Check[] {
  const { health, admin, replicas } = seen;
  if (health === null) return [];
  const checks: Check[] = [];
  const away = replicas.filter(({ problem }) => problem !== null).map(({ url }) => url);
  const isCut = isCutOff(seen);
  const silent = isCut ? [] : (admin?.silent_replicas ?? []);
  if (away.length + silent.length > 0)
    checks.push(
      failure(
        'RTC-REPLICA-01',
        `no answer from ${[...silent, ...away].join(', ')}`,
        'rtc connections   # from the others; and the log of that replica',
      ),
    );
  const versions = new Set(replicas.flatMap(({ version }) => version ?? []));
  const settings = [...new Set(replicas.flatMap(({ differences }) => differences.map(settingName)))];
  if (versions.size > 1)
    checks.push(
      warning('RTC-REPLICA-02', `replicas run versions ${[...versions].join(' and ')}`, 'finish the update'),
    );
  if (isSplitCluster(seen))
    checks.push(
      failure(
        'RTC-REPLICA-02',
        health.redis.state === 'none'
          ? 'there are several replicas, but this one is in memory, without Redis: messages do not pass from one to the other'
          : 'replicas have different Redis (redis.url): messages do not pass from one to the other',
        'REDIS_URL=redis://HOST:6379   # the same for all replicas; rtc config explain redis.url shows that of each',
      ),
    );
  else if (settings.length > 0)
    checks.push(
      warning(
        'RTC-REPLICA-02',
        `settings differ between replicas: ${settings.slice(0, 5).join(', ')}`,
        `rtc config explain ${settings[0]!.split('.')[0]}   # on each`,
      ),
    );
  const told = admin?.alerts?.find(({ kind }) => kind === 'replicas_differ' || kind === 'replicas_agree');
  const isRecent = told !== undefined && seen.at - told.at < alertMs;
  if (isRecent && told.kind === 'replicas_differ' && versions.size < 2 && settings.length === 0) {
    const shown = told.details?.differences?.slice(0, 3) ?? [];
    const what =
      shown.length === 0
        ? 'they run with other versions or settings'
        : shown.map((one) => one.replace(' here,', ` on ${told.replica_id},`)).join('; ');
    checks.push(
      warning(
        'RTC-REPLICA-02',
        `replicas differ: ${what}`,
        'rtc doctor --replica http://A:8081 http://B:8081   # all of them: names what differs; or finish the update',
      ),
    );
  }
  const count = admin?.replicas?.length;
  if (checks.length === 0 && count !== undefined && !isCut)
    checks.push(well('replicas', `${count} of ${count} replicas answer`));
  return checks;
}

/** As in docs/config.md: the service answers with the names of its code. */
function settingName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
