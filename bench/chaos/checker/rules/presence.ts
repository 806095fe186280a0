import type { HistoryIndex } from '../history-index.js';
import type { Violation } from '../violation.js';

/** Presence equals who is connected, and watchers have been sent what leads there. */
export function* presence(history: HistoryIndex): Iterable<Violation> {
  const connected = new Map<string, ReadonlySet<string>>();
  for (const { replica, topic, users, connected: expected } of history.of('presence-read')) {
    const seen = new Set(users);
    connected.set(topic, new Set(expected));
    const missing = expected.filter((user) => !seen.has(user));
    const extra = users.filter((user) => !expected.includes(user));
    if (missing.length + extra.length > 0)
      yield {
        rule: 'presence',
        text: `replica ${replica} says of ${topic}: missing ${list(missing)}; present without a connection ${list(extra)}`,
        about: { topic },
      };
  }
  yield* watched(history, connected);
}

/**
 * The last event of each user, as each settled watcher has it since it last subscribed: a watcher that was away may have
 * missed one.
 */
function* watched(
  history: HistoryIndex,
  connected: ReadonlyMap<string, ReadonlySet<string>>,
): Iterable<Violation> {
  const kinds = ['presence-event', 'subscribed', 'settled'] as const;
  for (const [client, events] of history.byClient(kinds)) {
    const last = new Map<string, Map<string, 'join' | 'leave'>>();
    const settled = new Set<string>();
    for (const event of events) {
      const { topic } = event;
      if (event.kind === 'settled') settled.add(topic);
      else if (event.kind === 'subscribed') last.delete(topic);
      else
        last.set(
          topic,
          (last.get(topic) ?? new Map<string, 'join' | 'leave'>()).set(event.user, event.event),
        );
    }
    for (const topic of settled)
      for (const [user, change] of last.get(topic) ?? []) {
        const isConnected = connected.get(topic)?.has(user);
        if (isConnected !== undefined && isConnected !== (change === 'join'))
          yield {
            rule: 'presence',
            text: `the last event that ${client} received of ${user} on ${topic} is "${change}", but ${user} is ${isConnected ? '' : 'not '}connected`,
            about: { topic, client },
          };
      }
  }
}

function list(users: readonly string[]): string {
  return users.length === 0 ? 'nobody' : users.join(', ');
}
