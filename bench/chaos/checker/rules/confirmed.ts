import type { HistoryIndex } from '../history-index.js';
import type { Violation } from '../violation.js';

/** P6.1: what a publish reports as delivered was received, by that many connections at least. */
export function* confirmed(history: HistoryIndex): Iterable<Violation> {
  const receivers = new Map<string, Set<string>>();
  for (const { id, client, connection } of history.of('message')) {
    const those = receivers.get(id) ?? new Set();
    receivers.set(id, those.add(`${client} ${connection}`));
  }
  for (const answer of history.of('published')) {
    if (answer.outcome !== 'acknowledged' || answer.delivered === undefined) continue;
    const { operation, id, delivered, expected = Infinity, target } = answer;
    const received = receivers.get(id)?.size ?? 0;
    if (delivered > Math.min(received, expected))
      yield {
        rule: 'P6.1',
        text: `${operation} was answered as delivered to ${delivered} of ${expected} connections; ${received} have received it`,
        about: { topic: target },
      };
  }
}
