import { errorTable, RefusalError } from '../../shared/errors.js';
import type { Position } from '../../shared/position.js';
import { readTopicName } from '../../shared/topic-name.js';
import type { Permissions } from '../auth/permissions.js';
import type { Log } from '../logging/log.js';
import type { OpenedSession } from '../sessions/session-service.js';
import type { Subscribed, Topics } from '../topics/topics.js';
import type { ClientConnection } from './client-connection.js';
import type { Connection } from '../protocol/connection.js';
import type { ConnectionRegistry } from './connection-registry.js';

export interface SubscriptionRestoreDependencies {
  readonly registry: ConnectionRegistry;
  readonly topics: Topics;
  readonly sessions: {
    connected(connection: Connection, createdAt: number): void;
    onChanged(connection: Connection): void;
  };
  readonly permissions: Permissions;
  /** The mode that the service is in; told while it is not `normal`. */
  readonly mode: () => string;
  readonly log: Log;
}

/** Wait before a subscription of the service's own making is tried again, in milliseconds. */
const retryMs = 1000;

/** What a connection gets when it has entered: its subscriptions, and the `status` that begins everything. */
export class SubscriptionRestore {
  constructor(private readonly dependencies: SubscriptionRestoreDependencies) {}

  /** Gives back the session's subscriptions and those the token asks for, then tells the client where it is. Never rejects. */
  async run(connection: ClientConnection, session: OpenedSession): Promise<void> {
    const { sessions, permissions } = this.dependencies;
    const wanted = new Map(session.topics);
    for (const topic of connection.identity.autoSubscribe)
      if (!wanted.has(topic)) wanted.set(topic, undefined);
    const allowed = [...wanted].filter(
      ([topic]) => isTopicName(topic) && permissions.allows(connection.identity, 'subscribe', topic),
    );
    sessions.connected(connection, session.createdAt);
    const subscribed = await Promise.all(
      allowed.map(([topic, since]) => this.subscribe(connection, topic, since)),
    );
    const topics = subscribed.filter((one) => one !== undefined);
    sessions.onChanged(connection);
    const mode = this.dependencies.mode();
    connection.emit('status', {
      status: 'connected',
      details: {
        connection_id: connection.id,
        session_id: connection.sessionId,
        user_id: connection.identity.userId,
        recovered:
          session.resumed &&
          topics.length === allowed.length &&
          topics.every((topic) => topic.recovered || !session.topics.has(topic.topic)),
        ...(mode !== 'normal' && { mode }),
        topics,
      },
    });
  }

  /** A subscription of the service's own making: while the log is away it is tried again. */
  private async subscribe(
    connection: ClientConnection,
    topic: string,
    since: Position | undefined,
  ): Promise<Subscribed | undefined> {
    const { topics, sessions, log } = this.dependencies;
    try {
      return await topics.subscribe(connection, topic, since);
    } catch (error) {
      log.debug('Subscription not restored yet', { connection_id: connection.id, topic, error });
      // What a hook has refused for good is not asked again.
      if (error instanceof RefusalError && errorTable[error.code].retry !== 'yes') return undefined;
      setTimeout(() => {
        if (this.dependencies.registry.connection(connection.id) !== connection) return;
        void this.subscribe(connection, topic, since).then((subscribed) => {
          if (subscribed === undefined) return;
          sessions.onChanged(connection);
          connection.emit('status', {
            status: 'subscribed',
            details: { topics: [topic], positions: [subscribed] },
          });
        });
      }, retryMs).unref();
      return undefined;
    }
  }
}

function isTopicName(name: string): boolean {
  try {
    readTopicName(name, 'topic');
    return true;
  } catch {
    return false;
  }
}
