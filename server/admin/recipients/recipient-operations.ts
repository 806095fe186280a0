import type { Position } from '../../../shared/position.js';
import type { Connection } from '../../protocol/connection.js';
import type { DeliveryRecord } from '../../tracing/delivery-record.js';
import { operation, type ClusterOperations } from '../cluster-operations.js';

/** A connection of the user, and how far it is with the topic. */
export interface ConnectionFact {
  readonly connection_id: string;
  readonly connected_at: number;
  /** Whether the user may subscribe to the topic, by the token of this connection. */
  readonly may_subscribe: boolean;
  /** Null: it is not subscribed. */
  readonly subscription: {
    /** Null: not known. */
    readonly start: Position | null;
    readonly reached: Position | null;
    readonly state: 'live' | 'catching_up' | 'dropping' | 'leaving';
    readonly confirmed: Position | null;
    readonly confirmed_at: number | null;
  } | null;
  /** How far it is with the inbox of its user; null: it receives no direct messages yet. */
  readonly inbox: { readonly state: 'loading' | 'live' | 'stalled'; readonly sent: Position | null } | null;
}

/** A subscription that ended, or went on after a loss (`lost_to`). */
export interface PastSubscription {
  readonly connection_id: string;
  readonly start: Position | null;
  readonly reached: Position;
  readonly lost_to: Position | null;
  readonly reason: string | null;
  readonly at: number;
}

/** A connection that has left. */
export interface PastConnection {
  readonly connection_id: string;
  readonly connected_at: number;
  readonly left_at: number;
  /** What its client had confirmed of the topic. */
  readonly confirmed: Position | null;
}

/** A time in which a subscription was paused; `until` null: it goes on. */
export interface PauseFact {
  readonly connection_id: string;
  readonly from: Position;
  readonly since: number;
  readonly to: Position | null;
  readonly until: number | null;
}

/** All that a replica knows of a user and a topic. */
export interface RecipientFacts {
  readonly replica_id: string;
  /** Whatever happened after this time to connections of the user on this replica is listed. */
  readonly complete_since: number;
  /** When a replica last left the cluster, with what it knew; null: none has. */
  readonly departed_at: number | null;
  readonly connections: readonly ConnectionFact[];
  readonly past_subscriptions: readonly PastSubscription[];
  readonly past_connections: readonly PastConnection[];
  readonly pauses: readonly PauseFact[];
  /** When a subscription to the topic was last refused as forbidden; null: not known to have been. */
  readonly forbidden_at: number | null;
  readonly acknowledged: readonly { readonly connection_id: string; readonly at: number }[];
}

interface RecipientQuery {
  readonly user: string;
  readonly message: string;
  /** Undefined: the message is a direct one. */
  readonly topic?: string | undefined;
}

export const recipientFacts = operation<RecipientQuery, RecipientFacts>('recipient');

interface RecipientOperationsDependencies {
  readonly replicaId: string;
  readonly connections: () => Iterable<Connection>;
  readonly topics: {
    subscriptionOf(
      connection: Connection,
      topic: string,
    ):
      | {
          readonly start: Position | undefined;
          readonly reached: Position | undefined;
          readonly state: 'live' | 'catching_up' | 'dropping' | 'leaving';
        }
      | undefined;
  };
  readonly sessions: {
    confirmedBy(
      connection: Connection,
      topic: string,
    ): { readonly position: Position | undefined; readonly lastAt: number | undefined };
  };
  readonly direct: {
    recipientOf(
      connection: Connection,
    ): { readonly state: 'loading' | 'live' | 'stalled'; readonly sent: Position | undefined } | undefined;
  };
  readonly maySubscribe: (connection: Connection, topic: string) => boolean;
  readonly record: Pick<DeliveryRecord, 'of' | 'acknowledgementsOf'>;
  readonly departedAt: () => number | undefined;
}

/** Items of each list in an answer; where there are more, the answer is not complete. */
const listMax = 200;

/** Answers of this replica about recipients of messages. */
export class RecipientOperations {
  constructor(private readonly dependencies: RecipientOperationsDependencies) {}

  /** Registers the answers of this replica. */
  serve(cluster: ClusterOperations): void {
    cluster.answer(recipientFacts, (query) => this.factsOf(query));
  }

  private factsOf({ user, message, topic }: RecipientQuery): RecipientFacts {
    const { replicaId, record, departedAt } = this.dependencies;
    const kept = record.of(user);
    const connections: ConnectionFact[] = [];
    for (const connection of this.dependencies.connections())
      if (connection.identity.userId === user) connections.push(this.describe(connection, topic));
    const pastSubscriptions: PastSubscription[] = [];
    const pastConnections: PastConnection[] = [];
    for (const note of kept.notes) {
      if (note.kind === 'left') {
        const { connectionId, connectedAt, at } = note;
        const confirmed = topic === undefined ? undefined : note.confirmed.get(topic);
        pastConnections.push({
          connection_id: connectionId,
          connected_at: connectedAt,
          left_at: at,
          confirmed: plain(confirmed),
        });
      } else if (note.topic === topic) {
        pastSubscriptions.push({
          connection_id: note.connectionId,
          start: plain(note.start),
          reached: plain(note.reached)!,
          lost_to: note.kind === 'lost' ? plain(note.to) : null,
          reason: note.kind === 'lost' ? note.reason : null,
          at: note.at,
        });
      }
    }
    const isCut = [connections, pastSubscriptions, pastConnections].some(({ length }) => length > listMax);
    const forbidden = kept.refused.filter((one) => one.topic === topic && one.code === 'forbidden').at(-1);
    return {
      replica_id: replicaId,
      complete_since: isCut ? Number.MAX_SAFE_INTEGER : kept.completeSince,
      departed_at: departedAt() ?? null,
      connections: connections.slice(-listMax),
      past_subscriptions: pastSubscriptions.slice(-listMax),
      past_connections: pastConnections.slice(-listMax),
      pauses: kept.pauses
        .filter((pause) => pause.topic === topic)
        .map(({ connectionId, from, since, to, until = null }) => {
          return { connection_id: connectionId, from: plain(from)!, since, to: plain(to), until };
        }),
      forbidden_at: forbidden?.at ?? null,
      acknowledged: record
        .acknowledgementsOf(message)
        .map(({ connectionId, at }) => ({ connection_id: connectionId, at })),
    };
  }

  private describe(connection: Connection, topic: string | undefined): ConnectionFact {
    const { topics, sessions, direct, maySubscribe } = this.dependencies;
    const subscription = topic === undefined ? undefined : topics.subscriptionOf(connection, topic);
    const confirmed = topic === undefined ? undefined : sessions.confirmedBy(connection, topic);
    const inbox = direct.recipientOf(connection);
    return {
      connection_id: connection.id,
      connected_at: connection.connectedAt,
      may_subscribe: topic !== undefined && maySubscribe(connection, topic),
      subscription:
        subscription === undefined
          ? null
          : {
              start: plain(subscription.start),
              reached: plain(subscription.reached),
              state: subscription.state,
              confirmed: plain(confirmed?.position),
              confirmed_at: confirmed?.lastAt ?? null,
            },
      inbox: inbox === undefined ? null : { state: inbox.state, sent: plain(inbox.sent) },
    };
  }
}

function plain(position: Position | undefined): Position | null {
  return position === undefined ? null : { epoch: position.epoch, sequence: position.sequence };
}
