import type { HistoryIndex } from '../history-index.js';
import type { Violation } from '../violation.js';

/** P6: an acknowledged direct message reaches its user, each connection gets them in order, and once. */
export function* directs(history: HistoryIndex): Iterable<Violation> {
  const received = new Map<string, { user: string; at: number; id: string }>();
  const last = new Map<string, number>();
  for (const { user, client, connection, body, epoch, sequence, id, at } of history.of('direct-received')) {
    const other = received.get(body);
    if (other === undefined) received.set(body, { user, at, id });
    else if (other.id !== id && history.losses.length === 0)
      yield { rule: 'P4.6', text: `${user} received ${body} as ${other.id} and as ${id}`, about: { client } };
    const line = `${client} ${connection} ${epoch}`;
    const before = last.get(line);
    if (before !== undefined && sequence <= before)
      yield {
        rule: 'P6.5',
        text: `${client} received direct message ${epoch}:${sequence} after ${before} on one connection`,
        about: { client },
      };
    last.set(line, sequence);
  }
  const settled = new Set(history.of('settled').map(({ client }) => client));
  const users = new Set(
    history.of('connected').flatMap(({ client, user }) => (settled.has(client) ? [user] : [])),
  );
  for (const [operation, attempts] of history.operations)
    for (const { sent, answer } of attempts) {
      if (sent.kind !== 'direct' || answer?.outcome !== 'acknowledged') continue;
      const got = received.get(sent.body);
      const about = { client: sent.client };
      if ((answer.delivered ?? 0) > 0 && (got === undefined || got.user !== sent.target))
        yield {
          rule: 'P6.4',
          text: `${operation} was answered as delivered to ${sent.target}, who has not received it`,
          about,
        };
      else if (got === undefined && users.has(sent.target) && !history.mayBeLost(sent.at, answer.at))
        yield {
          rule: 'P6.3',
          text: `${operation} to ${sent.target} was acknowledged, but did not arrive although ${sent.target} is connected`,
          about,
        };
    }
}
