import { z } from 'zod';
import { RefusalError } from '../../../shared/errors.js';
import { readTopicName } from '../../../shared/topic-name.js';
import { nameField } from '../../protocol/name.js';
import { topicField } from '../../protocol/request-fields.js';
import type { ClusterOperations } from '../cluster-operations.js';
import { adminRoute, type AdminRoute } from '../admin-route.js';
import { compareText, listRequest, mergePages, type ListRequest } from '../list-page.js';
import {
  cursorAnswer,
  cursorField,
  limitField,
  positionSchema,
  reasonField,
  truncatedAnswer,
  unresponsiveField,
  userParam,
} from '../schemas.js';
import {
  disconnectConnections,
  listConnections,
  listUsers,
  measureLatency,
  subscribeConnection,
  unsubscribeConnection,
  type ConnectionQuery,
} from './connection-operations.js';

const connectionSchema = z.object({
  connection_id: z.string(),
  user_id: z.string(),
  session_id: z.string(),
  wire: z.string().describe('socketio or json.'),
  transport: z
    .string()
    .optional()
    .describe('websocket or polling; missing for connections of replicas of version 0.2.0.'),
  address: z.string(),
  connected_at: z.number().describe('Milliseconds since 1970.'),
  replica_id: z.string(),
  roles: z.array(z.string()),
  waiting_bytes: z.int(),
  topics: z.record(z.string(), positionSchema),
});

/** The names that the service gives, and those that a program may. */
const connectionParam = z.object({
  id: nameField(200).describe('As `GET /admin/connections` lists it.'),
});

const topicsBody = z.strictObject({
  topics: z
    .array(topicField.meta({ title: 'name' }))
    .min(1)
    .max(1000),
  reason: reasonField,
});

/** @throws RefusalError */
function readTopics({ topics }: z.output<typeof topicsBody>): string[] {
  return topics.map((topic, i) => readTopicName(topic, `topics[${i}]`));
}

const disconnectBody = z.strictObject({ reason: reasonField });
const byOperator = 'disconnected by an operator';

/** Connections and users of the whole cluster: listing, disconnecting, unsubscribing. */
export function connectionRoutes(
  { cluster }: { readonly cluster: ClusterOperations },
  { answerBytes }: { readonly answerBytes: number },
): readonly AdminRoute[] {
  const list = async (query: ConnectionQuery, page: ListRequest) => {
    const { answers, unresponsive } = await cluster.ask(listConnections, { ...query, ...page });
    const found = answers.map(({ answer }) => answer);
    const { items, truncated, cursor } = mergePages(found, page, {
      keyOf: ({ connection_id: id }) => id,
    });
    const total = found.reduce((sum, answer) => sum + answer.total, 0);
    return { connections: items, total, truncated, cursor, silent_replicas: unresponsive };
  };
  const disconnect = async (query: ConnectionQuery, reason = byOperator) => {
    const { answers, unresponsive } = await cluster.ask(disconnectConnections, { ...query, reason });
    const disconnected = answers.reduce((sum, { answer }) => sum + answer.disconnected, 0);
    return { disconnected, silent_replicas: unresponsive };
  };
  const listAnswer = z.object({
    connections: z.array(connectionSchema),
    total: z.int().describe('Number of all connections, also those past the limit.'),
    truncated: truncatedAnswer,
    cursor: cursorAnswer,
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
        cursor: cursorField,
      }),
      answer: listAnswer,
      run: ({ query: { user, topic, ...page } }) => list({ user, topic }, listRequest(page, answerBytes)),
    }),
    adminRoute({
      method: 'get',
      path: '/connections/:id',
      role: 'viewer',
      summary: 'One connection, with its topics and positions.',
      params: connectionParam,
      answer: connectionSchema,
      run: async ({ params: { id } }) => {
        const [connection] = (await list({ id }, { limit: 1 })).connections;
        if (connection === undefined) throw new RefusalError('not_found', `there is no connection ${id}`);
        return connection;
      },
    }),
    adminRoute({
      method: 'get',
      path: '/connections/:id/latency',
      role: 'viewer',
      summary: 'Ping a client, behind everything that waits for it, and measure the time to its answer.',
      params: connectionParam,
      answer: z.object({
        connection_id: z.string(),
        replica_id: z.string(),
        round_trip_ms: z.number().nullable().describe('Null: the client has not answered within a second.'),
      }),
      run: async ({ params: { id } }) => {
        const { answers, unresponsive } = await cluster.ask(measureLatency, { id });
        const found = answers.find(({ answer }) => answer.found);
        if (found === undefined && unresponsive.length > 0)
          throw new RefusalError(
            'timeout',
            `no answer from ${unresponsive.join(', ')}: it may have the connection`,
            {
              retryAfterMs: 1000,
            },
          );
        if (found === undefined) throw new RefusalError('not_found', `there is no connection ${id}`);
        const { replica, answer } = found;
        return { connection_id: id, replica_id: replica, round_trip_ms: answer.round_trip_ms };
      },
    }),
    adminRoute({
      method: 'post',
      path: '/connections/:id/disconnect',
      role: 'operator',
      summary: 'Close a connection; the client receives the reason.',
      params: connectionParam,
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
      path: '/connections/:id/subscribe',
      role: 'operator',
      summary:
        'Subscribe a connection, if its user may; the client receives a status event with the positions. Refused if no topic may be subscribed.',
      params: connectionParam,
      body: topicsBody,
      answer: z.object({
        subscribed: z.array(positionSchema.extend({ topic: z.string() })),
        rejected: z.array(
          z.object({ topic: z.string(), error: z.looseObject({ code: z.string(), message: z.string() }) }),
        ),
      }),
      run: async ({ params: { id }, body }) => {
        const { answers } = await cluster.ask(subscribeConnection, { id, topics: readTopics(body) });
        const found = answers.find(({ answer }) => answer.found);
        if (found === undefined) throw new RefusalError('not_found', `there is no connection ${id}`);
        const { subscribed, rejected } = found.answer;
        const [first] = rejected;
        // So that the audit log does not say that it was done.
        if (subscribed.length === 0 && first !== undefined)
          throw new RefusalError(first.error.code, `${first.topic}: ${first.error.message}`);
        return { subscribed, rejected: rejected.map(({ topic, error }) => ({ topic, error: { ...error } })) };
      },
    }),
    adminRoute({
      method: 'post',
      path: '/connections/:id/unsubscribe',
      role: 'operator',
      summary: 'End subscriptions of a connection; the client receives a status event.',
      params: connectionParam,
      body: topicsBody,
      answer: z.object({ unsubscribed: z.array(z.string()) }),
      run: async ({ params: { id }, body }) => {
        const { answers } = await cluster.ask(unsubscribeConnection, { id, topics: readTopics(body) });
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
      query: z.strictObject({
        prefix: z.string().optional(),
        limit: limitField(100, 10_000),
        cursor: cursorField,
      }),
      answer: z.object({
        users: z.array(
          z.object({ user_id: z.string(), connections: z.int(), replicas: z.array(z.string()) }),
        ),
        total: z
          .int()
          .describe(
            'Number of all users. If there are several pages, a user of several replicas counts more than once.',
          ),
        truncated: truncatedAnswer,
        cursor: cursorAnswer,
        silent_replicas: unresponsiveField,
      }),
      run: async ({ query }) => {
        const page = listRequest(query, answerBytes);
        const { answers, unresponsive } = await cluster.ask(listUsers, { prefix: query.prefix, ...page });
        const found = answers.map(({ replica, answer: { items, ...rest } }) => ({
          ...rest,
          items: items.map((item) => ({ ...item, replicas: [replica] })),
        }));
        const { items, truncated, cursor } = mergePages(
          found,
          page,
          { keyOf: ({ user_id: id }) => id, rank: (a, b) => b.connections - a.connections },
          (same) => ({
            user_id: same[0]!.user_id,
            connections: same.reduce((sum, { connections }) => sum + connections, 0),
            replicas: same.flatMap(({ replicas }) => replicas).sort(compareText),
          }),
        );
        const isWhole = query.cursor === undefined && !truncated;
        const total = isWhole ? items.length : found.reduce((sum, answer) => sum + answer.total, 0);
        return { users: items, total, truncated, cursor, silent_replicas: unresponsive };
      },
    }),
    adminRoute({
      method: 'get',
      path: '/users/:id',
      role: 'viewer',
      summary: 'Connections of a user.',
      params: userParam,
      query: z.strictObject({ limit: limitField(10_000, 10_000), cursor: cursorField }),
      answer: listAnswer,
      run: ({ params: { id }, query }) => list({ user: id }, listRequest(query, answerBytes)),
    }),
    adminRoute({
      method: 'post',
      path: '/users/:id/disconnect',
      role: 'operator',
      summary: 'Close all connections of a user. The user can reconnect; to prevent that, revoke the tokens.',
      params: userParam,
      body: disconnectBody,
      answer: disconnectAnswer,
      run: ({ params: { id }, body }) => disconnect({ user: id }, body.reason),
    }),
  ];
}
