import { RefusalError } from '../../shared/errors.js';
import type { Position } from '../../shared/position.js';
import type { SystemNotification } from '../control/announcements.js';
import type { ReplicaCalls } from '../cluster/replica-calls.js';
import type { MetricsDocument } from '../metrics/metrics-document.js';
import type { Topics } from '../topics/topics.js';
import type { Connection } from '../protocol/connection.js';

/** A connection as operators see it. */
export interface ConnectionInfo {
  readonly connection_id: string;
  readonly user_id: string;
  readonly session_id: string;
  readonly wire: string;
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly connected_at: number;
  readonly replica_id: string;
  readonly roles: readonly string[];
  /** Bytes that wait because the client does not read them. */
  readonly waiting_bytes: number;
  readonly topics: Readonly<Record<string, Position>>;
}

/** A topic on one replica. */
export interface TopicInfo {
  readonly topic: string;
  readonly subscribers: number;
  /** Subscribers that are being caught up from the log. */
  readonly behind: number;
  readonly position: Position;
}

/** Which connections are meant; all that is given has to fit. */
export interface ConnectionQuery {
  readonly id?: string | undefined;
  readonly user?: string | undefined;
  readonly topic?: string | undefined;
  readonly limit?: number | undefined;
}

/** Part of an answer that was cut off at a limit. */
export interface Found<Item> {
  readonly items: readonly Item[];
  /** How many there are altogether. */
  readonly total: number;
}

interface LiveConnection extends Connection {
  readonly outbox: { readonly waitingBytes: number };
}

export interface ReplicaOperationsDependencies {
  readonly replicaId: string;
  readonly connections: () => Iterable<LiveConnection>;
  readonly connection: (id: string) => LiveConnection | undefined;
  readonly topics: Topics & {
    activeTopics(): Iterable<{ name: string; subscribers: number; behind: number; position: Position }>;
  };
  readonly sessions: {
    /** The connection is not to get a topic that its session still awaits. False if it was not awaited. */
    forget(connection: Connection, topic: string): boolean;
    /** The subscriptions of a connection have changed. */
    onChanged(connection: Connection): void;
  };
  readonly metrics: () => MetricsDocument;
}

/** What operators ask of every replica; the answers are put together by {@link ClusterOperations}. */
export interface OperationNames {
  connections: { readonly asked: ConnectionQuery; readonly answer: Found<ConnectionInfo> };
  topics: {
    readonly asked: { readonly prefix?: string | undefined; readonly limit: number };
    readonly answer: Found<TopicInfo>;
  };
  disconnect: {
    readonly asked: ConnectionQuery & { readonly reason: string };
    readonly answer: { readonly disconnected: number };
  };
  unsubscribe: {
    readonly asked: { readonly id: string; readonly topics: readonly string[] };
    readonly answer: { readonly found: boolean; readonly unsubscribed: readonly string[] };
  };
  notify: {
    readonly asked: {
      readonly notification: SystemNotification;
      readonly users?: readonly string[] | undefined;
      readonly topic?: string | undefined;
      /** Only to those who have one of these roles. */
      readonly roles?: readonly string[] | undefined;
    };
    readonly answer: { readonly notified: number };
  };
  /** Connections by user. */
  users: { readonly asked: null; readonly answer: Readonly<Record<string, number>> };
  metrics: { readonly asked: null; readonly answer: MetricsDocument };
}

/** Answers operators' questions about this replica, and does what they ask of it. */
export class ReplicaOperations {
  constructor(private readonly dependencies: ReplicaOperationsDependencies) {}

  /** Begins to answer. */
  serve(calls: ReplicaCalls): void {
    const handle = <Name extends keyof OperationNames>(
      name: Name,
      run: (asked: OperationNames[Name]['asked']) => OperationNames[Name]['answer'],
    ) => calls.handle(name, (asked) => run(asked as OperationNames[Name]['asked']));
    handle('connections', (query) => this.list(query));
    handle('topics', ({ prefix = '', limit }) => this.listTopics(prefix, limit));
    handle('disconnect', ({ reason, ...query }) => this.disconnect(query, reason));
    handle('unsubscribe', ({ id, topics }) => this.unsubscribe(id, topics));
    handle('notify', (asked) => this.notify(asked));
    handle('users', () => this.countUsers());
    handle('metrics', () => this.dependencies.metrics());
  }

  /** Sends a notification to the clients of this replica: to all, or to those of users or roles, or to the subscribers of a topic. */
  notify({ notification, users, topic, roles }: OperationNames['notify']['asked']): { notified: number } {
    let notified = 0;
    for (const connection of topic === undefined ? this.all() : this.dependencies.topics.subscribers(topic)) {
      const { identity } = connection;
      if (users !== undefined && !users.includes(identity.userId)) continue;
      if (roles !== undefined && !roles.some((role) => identity.roles.includes(role))) continue;
      connection.emit('system_notification', notification);
      notified++;
    }
    return { notified };
  }

  private list(query: ConnectionQuery): Found<ConnectionInfo> {
    const items: ConnectionInfo[] = [];
    const limit = query.limit ?? Infinity;
    let total = 0;
    for (const connection of this.matching(query)) {
      total++;
      if (items.length < limit) items.push(this.describe(connection));
    }
    return { items, total };
  }

  private countUsers(): Readonly<Record<string, number>> {
    const counts = new Map<string, number>();
    for (const { identity } of this.dependencies.connections())
      counts.set(identity.userId, (counts.get(identity.userId) ?? 0) + 1);
    return Object.fromEntries(counts);
  }

  private listTopics(prefix: string, limit: number): Found<TopicInfo> {
    const found: TopicInfo[] = [];
    for (const { name, subscribers, behind, position } of this.dependencies.topics.activeTopics()) {
      if (name.startsWith(prefix)) found.push({ topic: name, subscribers, behind, position });
    }
    found.sort((a, b) => b.subscribers - a.subscribers || (a.topic < b.topic ? -1 : 1));
    return { items: found.slice(0, limit), total: found.length };
  }

  private disconnect(query: ConnectionQuery, reason: string): { disconnected: number } {
    const meant = [...this.matching(query)];
    const why = new RefusalError('conflict', reason);
    for (const connection of meant) connection.disconnect(why);
    return { disconnected: meant.length };
  }

  private unsubscribe(id: string, names: readonly string[]): OperationNames['unsubscribe']['answer'] {
    const connection = this.dependencies.connection(id);
    if (connection === undefined) return { found: false, unsubscribed: [] };
    const { topics, sessions } = this.dependencies;
    const unsubscribed = names.filter((topic) => {
      const wasAwaited = sessions.forget(connection, topic);
      return topics.unsubscribe(connection, topic) || wasAwaited;
    });
    if (unsubscribed.length > 0) {
      sessions.onChanged(connection);
      connection.emit('status', {
        status: 'unsubscribed',
        details: { topics: unsubscribed, by: 'operator' },
      });
    }
    return { found: true, unsubscribed };
  }

  private *matching({ id, user, topic }: ConnectionQuery): Iterable<LiveConnection> {
    const { connection, topics } = this.dependencies;
    const one = id === undefined ? undefined : connection(id);
    const candidates =
      id !== undefined
        ? one === undefined
          ? []
          : [one]
        : topic === undefined
          ? this.all()
          : (topics.subscribers(topic) as Iterable<LiveConnection>);
    for (const candidate of candidates) {
      if (user === undefined || candidate.identity.userId === user) yield candidate;
    }
  }

  private all(): Iterable<LiveConnection> {
    // A copy: who is disconnected leaves the list.
    return [...this.dependencies.connections()];
  }

  private describe(connection: LiveConnection): ConnectionInfo {
    const { identity } = connection;
    return {
      connection_id: connection.id,
      user_id: identity.userId,
      session_id: connection.sessionId,
      wire: connection.wire,
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
