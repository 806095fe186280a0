import { z } from 'zod';
import { RefusalError } from '../../../shared/errors.js';
import { readTopicName } from '../../../shared/topic-name.js';
import type { ClusterOperations } from '../cluster-operations.js';
import { adminRoute, type AdminRoute } from '../admin-route.js';
import { limitField, positionSchema, reasonField, unresponsiveField } from '../schemas.js';
import {
  countUsers,
  disconnectConnections,
  listConnections,
  unsubscribeConnection,
  type ConnectionQuery,
} from './connection-operations.js';

const connectionSchema = z.object({
  connection_id: z.string(),
  user_id: z.string(),
  session_id: z.string(),
  wire: z.string().describe('socketio or json.'),
  address: z.string(),
  connected_at: z.number().describe('Milliseconds since 1970.'),
  replica_id: z.string(),
  roles: z.array(z.string()),
  waiting_bytes: z.int(),
  topics: z.record(z.string(), positionSchema),
});

const disconnectBody = z.strictObject({ reason: reasonField });
const byOperator = 'disconnected by an operator';

/** Connections and users of the whole cluster: listing, disconnecting, unsubscribing. */
export function connectionRoutes({
  cluster,
}: {
  readonly cluster: ClusterOperations;
}): readonly AdminRoute[] {
  const list = async (query: ConnectionQuery & { limit: number }) => {
    const { answers, unresponsive } = await cluster.ask(listConnections, query);
    return {
      connections: answers.flatMap(({ answer }) => answer.items).slice(0, query.limit),
      total: answers.reduce((sum, { answer }) => sum + answer.total, 0),
      silent_replicas: unresponsive,
    };
  };
  const disconnect = async (query: ConnectionQuery, reason = byOperator) => {
    const { answers, unresponsive } = await cluster.ask(disconnectConnections, { ...query, reason });
    const disconnected = answers.reduce((sum, { answer }) => sum + answer.disconnected, 0);
    return { disconnected, silent_replicas: unresponsive };
  };
  const listAnswer = z.object({
    connections: z.array(connectionSchema),
    total: z.int().describe('Number of all connections, also those past the limit.'),
    silent_replicas: unresponsiveField,
  });
  const disconnectAnswer = z.object({ disconnected: z.int(), silent_replicas: unresponsiveField });
  return [
    adminRoute({
      method: 'get',
      path: '/connections',
      role: 'viewer',
      summary: 'Connections of all replicas.',
      query: z.strictObject({
        user: z.string().optional(),
        topic: z.string().optional(),
        limit: limitField(100, 10_000),
      }),
      answer: listAnswer,
      run: ({ query }) => list(query),
    }),
    adminRoute({
      method: 'get',
      path: '/connections/:id',
      role: 'viewer',
      summary: 'One connection, with its topics and positions.',
      params: z.object({ id: z.string() }),
      answer: connectionSchema,
      run: async ({ params: { id } }) => {
        const [connection] = (await list({ id, limit: 1 })).connections;
        if (connection === undefined) throw new RefusalError('not_found', `there is no connection ${id}`);
        return connection;
      },
    }),
    adminRoute({
      method: 'post',
      path: '/connections/:id/disconnect',
      role: 'operator',
      summary: 'Close a connection; the client receives the reason.',
      params: z.object({ id: z.string() }),
      body: disconnectBody,
      answer: disconnectAnswer,
      run: async ({ params: { id }, body }) => {
        const answer = await disconnect({ id }, body.reason);
        if (answer.disconnected === 0 && answer.silent_replicas.length === 0)
          throw new RefusalError('not_found', `there is no connection ${id}`);
        return answer;
      },
    }),
    adminRoute({
      method: 'post',
      path: '/connections/:id/unsubscribe',
      role: 'operator',
      summary: 'End subscriptions of a connection; the client receives a status event.',
      params: z.object({ id: z.string() }),
      body: z.strictObject({
        topics: z
          .array(z.string().meta({ title: 'name' }))
          .min(1)
          .max(1000),
      }),
      answer: z.object({ unsubscribed: z.array(z.string()) }),
      run: async ({ params: { id }, body }) => {
        const topics = body.topics.map((topic, i) => readTopicName(topic, `topics[${i}]`));
        const { answers } = await cluster.ask(unsubscribeConnection, { id, topics });
        const found = answers.find(({ answer }) => answer.found);
        if (found === undefined) throw new RefusalError('not_found', `there is no connection ${id}`);
        return { unsubscribed: found.answer.unsubscribed };
      },
    }),
    adminRoute({
      method: 'get',
      path: '/users',
      role: 'viewer',
      summary: 'Users who are connected, those with the most connections first.',
      query: z.strictObject({ limit: limitField(100, 10_000) }),
      answer: z.object({
        users: z.array(
          z.object({ user_id: z.string(), connections: z.int(), replicas: z.array(z.string()) }),
        ),
        total: z.int(),
        silent_replicas: unresponsiveField,
      }),
      run: async ({ query: { limit } }) => {
        const { answers, unresponsive } = await cluster.ask(countUsers, null);
        const users = new Map<string, { user_id: string; connections: number; replicas: string[] }>();
        for (const { replica, answer } of answers) {
          for (const [id, count] of Object.entries(answer)) {
            const user = users.get(id) ?? { user_id: id, connections: 0, replicas: [] };
            users.set(id, user);
            user.connections += count;
            user.replicas.push(replica);
          }
        }
        const sorted = [...users.values()].sort((a, b) => b.connections - a.connections);
        return { users: sorted.slice(0, limit), total: users.size, silent_replicas: unresponsive };
      },
    }),
    adminRoute({
      method: 'get',
      path: '/users/:id',
      role: 'viewer',
      summary: 'Connections of a user.',
      params: z.object({ id: z.string() }),
      answer: listAnswer,
      run: ({ params: { id } }) => list({ user: id, limit: 10_000 }),
    }),
    adminRoute({
      method: 'post',
      path: '/users/:id/disconnect',
      role: 'operator',
      summary: 'Close all connections of a user. The user can reconnect; to prevent that, revoke the tokens.',
      params: z.object({ id: z.string() }),
      body: disconnectBody,
      answer: disconnectAnswer,
      run: ({ params: { id }, body }) => disconnect({ user: id }, body.reason),
    }),
  ];
}
