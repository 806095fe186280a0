import type { Alert } from '../../supervision/alerts.js';

const openForMs = 60 * 60_000;

/** What ends an alert: a later alert of this kind. */
const endedBy: Readonly<Record<string, string>> = {
  redis_down: 'redis_back',
  redis_writes_refused: 'redis_writes_accepted',
  replicas_differ: 'replicas_agree',
};

/**
 * The alerts of the last hour that nothing has ended.
 *
 * @param latest the newest first
 * @param stoppedActors ids of the actors that are stopped; undefined: not known
 */
export function openAlerts(
  latest: readonly Alert[],
  { now, stoppedActors }: { readonly now: number; readonly stoppedActors: ReadonlySet<string> | undefined },
): Alert[] {
  const ended = new Set<string>();
  const seen = new Set<string>();
  const open: Alert[] = [];
  for (const alert of latest) {
    const { kind, replica_id: replica, severity, at, details } = alert;
    const same = `${kind} ${replica} ${JSON.stringify(details['actor_id'] ?? '')}`;
    const isEnded = ended.has(`${kind} ${replica}`) || (kind === 'replicas_differ' && ended.has(kind));
    for (const [begin, end] of Object.entries(endedBy))
      if (kind === end) ended.add(`${begin} ${replica}`).add(begin === 'replicas_differ' ? begin : '');
    if (severity === 'info' || isEnded || now - at > openForMs || seen.has(same)) continue;
    seen.add(same);
    const actor = details['actor_id'];
    if (kind === 'actor_stopped' && typeof actor === 'string' && stoppedActors?.has(actor) === false)
      continue;
    open.push(alert);
  }
  return open;
}
