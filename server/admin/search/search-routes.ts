import { z } from 'zod';
import { adminRoute, type AdminRoute } from '../admin-route.js';
import type { ClusterOperations } from '../cluster-operations.js';
import { listConnections, listUsers } from '../connections/connection-operations.js';
import { mergePages } from '../list-page.js';
import { unresponsiveField } from '../schemas.js';
import { listTopics } from '../topics/topic-operations.js';
import { traceOfMessage } from '../traces/trace-operations.js';

/** Results of each kind. */
const shown = 8;

/** One search for what operators have in hand: the name of a topic or user, the id of a message or connection. */
export function searchRoutes({ cluster }: { readonly cluster: ClusterOperations }): readonly AdminRoute[] {
  return [
    adminRoute({
      method: 'get',
      path: '/search',
      role: 'viewer',
      summary:
        'Finds active topics and connected users whose names begin with a text, and the connection or traced message that has it as its id.',
      query: z.strictObject({ q: z.string().min(1).max(500) }),
      answer: z.object({
        topics: z.array(z.object({ topic: z.string(), subscribers: z.int() })),
        users: z.array(z.object({ user_id: z.string(), connections: z.int() })),
        connections: z.array(
          z.object({ connection_id: z.string(), user_id: z.string(), replica_id: z.string() }),
        ),
        messages: z.array(z.object({ message_id: z.string(), stage: z.string(), at: z.number() })),
        silent_replicas: unresponsiveField,
      }),
      run: async ({ query: { q } }) => {
        const first = { limit: shown };
        const [topics, users, connections, traces] = await Promise.all([
          cluster.ask(listTopics, { prefix: q, ...first }),
          cluster.ask(listUsers, { prefix: q, ...first }),
          cluster.ask(listConnections, { id: q, ...first }),
          cluster.ask(traceOfMessage, { id: q }),
        ]);
        const events = traces.answers.flatMap(({ answer }) => answer);
        const last = events.reduce<(typeof events)[number] | undefined>(
          (latest, event) => (latest === undefined || event.at >= latest.at ? event : latest),
          undefined,
        );
        const foundTopics = mergePages(
          topics.answers.map(({ answer }) => answer),
          first,
          { keyOf: ({ topic }) => topic, rank: (one, other) => other.subscribers - one.subscribers },
          (same) => ({ ...same[0]!, subscribers: same.reduce((sum, one) => sum + one.subscribers, 0) }),
        );
        const foundUsers = mergePages(
          // A replica of an older version does not know the prefix.
          users.answers.map(({ answer }) => ({
            ...answer,
            items: answer.items.filter(({ user_id: id }) => id.startsWith(q)),
          })),
          first,
          { keyOf: ({ user_id: id }) => id, rank: (one, other) => other.connections - one.connections },
          (same) => ({ ...same[0]!, connections: same.reduce((sum, one) => sum + one.connections, 0) }),
        );
        return {
          topics: foundTopics.items.map(({ topic, subscribers }) => ({ topic, subscribers })),
          users: foundUsers.items,
          connections: connections.answers
            .flatMap(({ answer }) => answer.items)
            .map(({ connection_id, user_id, replica_id }) => ({ connection_id, user_id, replica_id })),
          messages: last === undefined ? [] : [{ message_id: q, stage: last.stage, at: last.at }],
          silent_replicas: [...new Set([...topics.unresponsive, ...traces.unresponsive])],
        };
      },
    }),
  ];
}
