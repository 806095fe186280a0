import { RefusalError, type WireError } from '../../../shared/errors.js';
import type { Position } from '../../../shared/position.js';
import type { Connection, TokenHolder } from '../../protocol/connection.js';
import { rejectionOf, type SubscriptionGate } from '../../topics/subscription-gate.js';
import type { Topics } from '../../topics/topics.js';
import { operation, type ClusterOperations, type Found } from '../cluster-operations.js';
import { listPage, type ListRequest } from '../list-page.js';

/** A connection as operators see it. */
export interface ConnectionInfo {
  readonly connection_id: string;
  readonly user_id: string;
  readonly session_id: string;
  readonly wire: string;
  /** `websocket` or `polling`. Replicas of version 0.2.0 do not send it. */
  readonly transport?: string;
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly connected_at: number;
  readonly replica_id: string;
  readonly roles: readonly string[];
  /** Bytes that the client has not read yet. */
  readonly waiting_bytes: number;
  readonly topics: Readonly<Record<string, Position>>;
}

/** Selects connections; each given field has to match. */
export interface ConnectionQuery {
  readonly id?: string | undefined;
  readonly user?: string | undefined;
  readonly topic?: string | undefined;
}

/** The number of connections of a user. */
interface UserInfo {
  readonly user_id: string;
  readonly connections: number;
}

interface SubscribeAnswer {
  readonly found: boolean;
  readonly subscribed: readonly (Position & { readonly topic: string })[];
  readonly rejected: readonly { readonly topic: string; readonly error: WireError }[];
}

interface UnsubscribeAnswer {
  readonly found: boolean;
  readonly unsubscribed: readonly string[];
}

/** Replicas of version 0.2.0 do not know it. */
export const measureLatency = operation<
  { readonly id: string },
  { readonly found: boolean; readonly round_trip_ms: number | null }
>('latency');

export const listConnections = operation<ConnectionQuery & ListRequest, Found<ConnectionInfo>>('connections');

export const disconnectConnections = operation<
  ConnectionQuery & { readonly reason: string },
  { readonly disconnected: number }
>('disconnect');

/** Replicas of version 0.2.0 do not know it. */
export const subscribeConnection = operation<
  { readonly id: string; readonly topics: readonly string[] },
  SubscribeAnswer
>('subscribe');

export const unsubscribeConnection = operation<
  { readonly id: string; readonly topics: readonly string[] },
  UnsubscribeAnswer
>('unsubscribe');

/** What replicas of version 0.1 ask instead of {@link listUsers}: the number of connections by user. */
export const countUsers = operation<null, Readonly<Record<string, number>>>('users');

/** Users in the answer to a replica of version 0.1. */
const countedUsersLimit = 10_000;

/** Selects users. Replicas of version 0.2.0 do not know the prefix. */
interface UserQuery extends ListRequest {
  readonly prefix?: string | undefined;
}

export const listUsers = operation<UserQuery, Found<UserInfo>>('list_users');

interface LiveConnection extends Connection {
  readonly transport: string;
  readonly outbox: { readonly waitingBytes: number };
}

interface ConnectionOperationsDependencies {
  readonly replicaId: string;
  readonly connections: () => Iterable<LiveConnection>;
  readonly connection: (id: string) => LiveConnection | undefined;
  /** How long the client takes to answer a ping; undefined: it does not, or is not there. */
  readonly roundTripMs: (id: string) => Promise<number | undefined>;
  /** Sockets in namespaces of the program. */
  readonly members: () => Iterable<TokenHolder & { readonly id: string }>;
  readonly topics: Topics;
  readonly gate: Pick<SubscriptionGate, 'subscribe' | 'unsubscribe'>;
  /** Resolves when the session of a connection is stored as it is; undefined if it is. */
  readonly sessionStored: (connection: Connection) => Promise<void> | undefined;
}

/** Answers of this replica about its connections. */
export class ConnectionOperations {
  constructor(private readonly dependencies: ConnectionOperationsDependencies) {}

  /** Registers the answers of this replica. */
  serve(cluster: ClusterOperations): void {
    cluster.answer(listConnections, (query) => this.list(query));
    cluster.answer(disconnectConnections, ({ reason, ...query }) => this.disconnect(query, reason));
    cluster.answer(measureLatency, ({ id }) => this.measure(id));
    cluster.answer(subscribeConnection, ({ id, topics }) => this.subscribe(id, topics));
    cluster.answer(unsubscribeConnection, ({ id, topics }) => this.unsubscribe(id, topics));
    cluster.answer(listUsers, (request) => this.listUsers(request));
    cluster.answer(countUsers, () => {
      const { items } = this.listUsers({ limit: countedUsersLimit });
      return Object.fromEntries(items.map(({ user_id: id, connections }) => [id, connections]));
    });
  }

  private list(query: ConnectionQuery & ListRequest): Found<ConnectionInfo> {
    const order = { keyOf: ({ id }: LiveConnection) => id, leastBytes: 200 };
    return listPage(this.matching(query), query, order, (connection) => this.describe(connection));
  }

  private listUsers({ prefix = '', ...request }: UserQuery): Found<UserInfo> {
    const counts = new Map<string, number>();
    for (const { identity } of this.dependencies.connections())
      if (identity.userId.startsWith(prefix))
        counts.set(identity.userId, (counts.get(identity.userId) ?? 0) + 1);
    const order = {
      keyOf: ([userId]: [string, number]) => userId,
      rank: ([, one]: [string, number], [, other]: [string, number]) => other - one,
    };
    return listPage(counts, request, order, ([user_id, connections]) => ({ user_id, connections }));
  }

  private disconnect(query: ConnectionQuery, reason: string): { disconnected: number } {
    // A copy: disconnecting removes a connection from the registry and from its topics.
    const matching = [...this.matching(query)];
    const error = new RefusalError('disconnected', reason);
    for (const connection of matching) connection.disconnect(error);
    const members = query.topic === undefined ? [...this.dependencies.members()].filter(matches(query)) : [];
    for (const member of members) member.disconnect(error);
    return { disconnected: matching.length + members.length };
  }

  private async measure(id: string): Promise<{ found: boolean; round_trip_ms: number | null }> {
    if (this.dependencies.connection(id) === undefined) return { found: false, round_trip_ms: null };
    const measured = await this.dependencies.roundTripMs(id);
    return { found: true, round_trip_ms: measured === undefined ? null : Number(measured.toFixed(1)) };
  }

  /** With the rights and limits of the client, from now on: an operator cannot give it more than it may have. */
  private async subscribe(id: string, names: readonly string[]): Promise<SubscribeAnswer> {
    const connection = this.dependencies.connection(id);
    if (connection === undefined) return { found: false, subscribed: [], rejected: [] };
    const requests = names.map((topic, i) => ({ topic, field: `topics[${i}]` }));
    const outcomes = await this.dependencies.gate.subscribe(connection, requests);
    const subscribed = outcomes.flatMap((outcome) =>
      'subscribed' in outcome
        ? [
            {
              topic: outcome.topic,
              epoch: outcome.subscribed.epoch,
              sequence: outcome.subscribed.sequence,
            },
          ]
        : [],
    );
    const rejected = outcomes.flatMap((outcome) =>
      'error' in outcome ? [rejectionOf(outcome.topic, outcome.error)] : [],
    );
    if (subscribed.length > 0) {
      connection.emit('status', {
        status: 'subscribed',
        details: {
          topics: subscribed.map(({ topic }) => topic),
          positions: subscribed,
          by: 'operator',
        },
      });
    }
    return { found: true, subscribed, rejected };
  }

  private async unsubscribe(id: string, names: readonly string[]): Promise<UnsubscribeAnswer> {
    const connection = this.dependencies.connection(id);
    if (connection === undefined) return { found: false, unsubscribed: [] };
    const unsubscribed = this.dependencies.gate.unsubscribe(connection, names);
    if (unsubscribed.length > 0) {
      connection.emit('status', {
        status: 'unsubscribed',
        details: { topics: unsubscribed, by: 'operator' },
      });
    }
    // As for the client itself: its session does not bring these topics back, even if the replica ends right after.
    await this.dependencies.sessionStored(connection);
    return { found: true, unsubscribed };
  }

  private *matching(query: ConnectionQuery): Iterable<LiveConnection> {
    for (const candidate of this.candidates(query)) {
      if (query.user === undefined || candidate.identity.userId === query.user) yield candidate;
    }
  }

  private candidates({ id, topic }: ConnectionQuery): Iterable<LiveConnection> {
    const { connection, connections, topics } = this.dependencies;
    if (id !== undefined) {
      const one = connection(id);
      return one === undefined ? [] : [one];
    }
    return topic === undefined ? connections() : (topics.subscribers(topic) as Iterable<LiveConnection>);
  }

  private describe(connection: LiveConnection): ConnectionInfo {
    const { identity } = connection;
    return {
      connection_id: connection.id,
      user_id: identity.userId,
      session_id: connection.sessionId,
      wire: connection.wire,
      transport: connection.transport,
      address: connection.address,
      connected_at: connection.connectedAt,
      replica_id: this.dependencies.replicaId,
      roles: identity.roles,
      waiting_bytes: connection.outbox.waitingBytes,
      topics: Object.fromEntries(
        [...this.dependencies.topics.positions(connection)].map(([topic, { epoch, sequence }]) => [
          topic,
          { epoch, sequence },
        ]),
      ),
    };
  }
}

function matches({ id, user }: ConnectionQuery) {
  return (one: TokenHolder & { readonly id: string }): boolean =>
    (id === undefined || one.id === id) && (user === undefined || one.identity.userId === user);
}
