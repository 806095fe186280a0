import type { MetricSources } from './metrics.js';

/** Number of connections, by wire. */
export function sumConnections(
  connections: Iterable<{ readonly wire: string }>,
): ReturnType<MetricSources['connections']> {
  const sum = { total: 0, json: 0, socketio: 0 };
  for (const { wire } of connections) {
    sum.total++;
    if (wire === 'json') sum.json++;
    else sum.socketio++;
  }
  return sum;
}

export function sumMailboxes(
  actors: Iterable<{ readonly mailboxSize: number; readonly failed: number }>,
): ReturnType<MetricSources['mailboxes']> {
  const sum = { actors: 0, waiting: 0, failed: 0 };
  for (const { mailboxSize, failed } of actors) {
    sum.actors++;
    sum.waiting += mailboxSize;
    sum.failed += failed;
  }
  return sum;
}
