import { failure, warning, well, type Check } from '../codes.js';
import { metricsOf, type Observations } from '../observations.js';

/** A share of a limit from which it is a warning. */
const nearly = 0.9;
/** Lag of the event loop, in milliseconds. */
const lagMs = { warning: 500, failure: 2000 } as const;
/** A share of connections that read too slowly. */
const slowShare = 0.1;
/** Alerts of the last hour are reported. */
const alertMs = 3_600_000;
/** Alerts that other checks report, as long as their cause lasts; and those that are no trouble. */
const explainedAlerts = new Set([
  'actor_stopped',
  'redis_down',
  'redis_writes_refused',
  'replicas_differ',
  'test',
]);

/** What operators have switched. */
export function switchChecks({ health, admin }: Observations): Check[] {
  if (health === null) return [];
  const checks: Check[] = [];
  const { mode, accepts_connections: accepts, presence, frozen_topics: frozen } = health;
  if (mode !== 'normal')
    checks.push(
      warning('RTC-SWITCH-01', `an operator has set the mode ${mode}`, `rtc emergency mode normal`),
    );
  if (!accepts)
    checks.push(
      warning('RTC-SWITCH-02', 'an operator has switched off new connections', 'rtc emergency open'),
    );
  if (presence === 'shed')
    checks.push(
      warning('RTC-SWITCH-03', 'an operator has switched off presence', 'rtc emergency presence restore'),
    );
  if (frozen > 0) {
    const names = (admin?.frozen ?? []).slice(0, 3);
    const text = `an operator has frozen ${frozen === 1 ? 'a topic' : `${frozen} topics`}${names.length > 0 ? `: ${names.join(', ')}` : ''}`;
    checks.push(warning('RTC-SWITCH-04', text, `rtc emergency unfreeze ${names[0] ?? 'TOPIC'}`));
  }
  if (admin?.rates_switched_by)
    checks.push(
      warning(
        'RTC-SWITCH-05',
        `${admin.rates_switched_by} has changed the rates`,
        'rtc emergency rates --reset',
      ),
    );
  return checks.length === 0 ? [well('switches', 'nothing is switched')] : checks;
}

/** Connections and time. */
export function capacityChecks(seen: Observations): Check[] {
  const { health, admin, upgrade } = seen;
  if (health === null) return [];
  const checks: Check[] = [];
  const max = admin?.settings?.max_connections ?? 0;
  const replicas = metricsOf(seen);
  const slow = replicas.reduce((sum, { outboxes }) => sum + outboxes.slow, 0);
  if (upgrade?.code === 'at_capacity' && health.accepts_connections)
    checks.push(
      failure(
        'RTC-CAPACITY-01',
        `new connections are refused: ${upgrade.message} (there are ${health.connections})`,
        'pm2 scale realtime-communication +1   # or: RTC_WEBSOCKET_MAX_CONNECTIONS',
      ),
    );
  else if (max > 0 && health.connections >= max * nearly)
    checks.push(
      warning(
        'RTC-CAPACITY-02',
        `${health.connections} of ${max} connections are in use`,
        'pm2 scale realtime-communication +1   # or: RTC_WEBSOCKET_MAX_CONNECTIONS',
      ),
    );
  else {
    const some = slow === 0 ? '' : `, ${slow} of all replicas read slowly`;
    checks.push(well('capacity', `${health.connections} connections${max > 0 ? ` of ${max}` : ''}${some}`));
  }
  const slowest = replicas.reduce(
    (most, { event_loop_lag_ms: { recent_p99: lag } }) => Math.max(most, lag),
    0,
  );
  if (slowest >= lagMs.warning) {
    const { replica_id: id } = replicas.find((one) => one.event_loop_lag_ms.recent_p99 === slowest)!;
    const text = `the event loop of ${id} is late by ${Math.round(slowest)} ms (p99 of the last half minute)`;
    const level = slowest >= lagMs.failure ? failure : warning;
    checks.push(
      level(
        'RTC-CAPACITY-03',
        text,
        'node --cpu-prof dist/server/main.js   # a replica more, and what takes its time',
      ),
    );
  } else if (replicas.length > 0)
    checks.push(well('capacity', `the event loop is late by ${Math.round(slowest)} ms at most`));
  const full = replicas.find(({ file_descriptors: files }) => {
    const { open = null, limit = null } = files ?? {};
    return open !== null && limit !== null && open >= limit * nearly;
  });
  if (full !== undefined)
    checks.push(
      warning(
        'RTC-CAPACITY-05',
        `${full.replica_id} has ${full.file_descriptors!.open} of ${full.file_descriptors!.limit} file descriptors open`,
        'ulimit -n 65536   # before the start, or LimitNOFILE of systemd',
      ),
    );
  for (const { replica_id: id, memory } of replicas) {
    const { heap_used_bytes: heap = 0, heap_limit_bytes: heapLimit = Infinity } = memory ?? {};
    const { rss_bytes: rss = 0, limit_bytes: limit = Infinity } = memory ?? {};
    if (heap < heapLimit * nearly && rss < limit * nearly) continue;
    const [used, most, what] =
      heap >= heapLimit * nearly ? [heap, heapLimit, 'heap'] : [rss, limit, 'memory'];
    const text = `${id} uses ${Math.round(used / 1e6)} of ${Math.round(most / 1e6)} MB of its ${what}`;
    checks.push(
      warning(
        'RTC-CAPACITY-06',
        text,
        'node --max-old-space-size=4096 dist/server/main.js   # or a replica more',
      ),
    );
    break;
  }
  const connections = replicas.reduce((sum, one) => sum + one.active_connections, 0);
  if (slow > 1 && slow > connections * slowShare)
    checks.push(
      warning(
        'RTC-CAPACITY-04',
        `${slow} of ${connections} clients read too slowly`,
        "rtc connections --json | jq '.connections | sort_by(-.waiting_bytes)[:5]'",
      ),
    );
  return checks;
}

/** Actors, and alerts. */
export function actorChecks(seen: Observations): Check[] {
  const { health, admin, at } = seen;
  if (health === null) return [];
  const checks: Check[] = [];
  const listed = admin?.stopped_actors ?? [];
  const stopped = Math.max(
    listed.length,
    metricsOf(seen).reduce((sum, { actors }) => sum + actors.stopped, 0),
  );
  if (stopped > 0) {
    const [first] = listed;
    const name = first === undefined ? 'an actor' : `${first.actor_id} on ${first.replica_id}`;
    const more = stopped > 1 ? ` and ${stopped - 1} more` : '';
    const error = first?.last_error ? `: ${first.last_error}` : '';
    const path = first === undefined ? 'ID' : encodeURIComponent(first.actor_id);
    checks.push(
      failure(
        'RTC-ACTOR-01',
        `${name}${more} failed too often and is stopped${error}`,
        `curl -X POST -H "Authorization: Bearer $ADMIN_TOKEN" ${seen.url}/admin/actors/${path}/restart`,
      ),
    );
  } else if (admin?.stopped_actors || metricsOf(seen).length > 0)
    checks.push(well('actors', 'no actor is stopped'));
  const { longest_mailbox: longest, settings } = admin ?? {};
  const capacity = settings?.mailbox_capacity ?? Infinity;
  if (longest && longest.mailbox_size > 1 && longest.mailbox_size >= capacity * nearly)
    checks.push(
      warning(
        'RTC-ACTOR-02',
        `${longest.mailbox_size} of ${capacity} publishes wait in ${longest.actor_id}`,
        'rtc top   # who publishes; RTC_ACTOR_SYSTEM_MAILBOX_CAPACITY bounds what waits',
      ),
    );
  const alerts = (admin?.alerts ?? []).filter(
    (alert) => alert.severity !== 'info' && at - alert.at < alertMs && !explainedAlerts.has(alert.kind),
  );
  if (alerts[0] !== undefined)
    checks.push(
      warning(
        'RTC-ALERT-01',
        `${alerts.length} in the last hour; the latest: ${alerts[0].message}`,
        `curl -H "Authorization: Bearer $ADMIN_TOKEN" ${seen.url}/admin/alerts`,
      ),
    );
  return checks;
}
