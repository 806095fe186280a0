import { errorTable, RefusalError } from '../../shared/errors.js';
import type { Position } from '../../shared/position.js';
import { readTopicName } from '../../shared/topic-name.js';
import type { Permissions } from '../auth/permissions.js';
import type { Log } from '../logging/log.js';
import { withTimeout } from '../primitives/with-timeout.js';
import type { OpenedSession } from '../sessions/session-service.js';
import type { Subscribed, Topics } from '../topics/topics.js';
import type { ClientConnection } from './client-connection.js';
import type { Connection } from '../protocol/connection.js';
import type { ConnectionRegistry } from './connection-registry.js';

/** Sessions as the restoring of subscriptions uses them; see `sessions/session-service.ts`. */
interface RestoredSessions {
  connected(
    connection: Connection,
    createdAt: number,
    topics: ReadonlyMap<string, Position | undefined>,
  ): void;
  awaited(connection: Connection, topic: string): { readonly since: Position | undefined } | undefined;
  holds(connection: Connection, topic: string): boolean;
  subscribed(connection: Connection, topic: string, since: Position | undefined, at: Position): void;
  forget(connection: Connection, topic: string): boolean;
}

interface SubscriptionRestoreDependencies {
  readonly registry: ConnectionRegistry;
  readonly topics: Topics;
  readonly sessions: RestoredSessions;
  readonly permissions: Permissions;
  /** The current mode of the service. Included in the `status` if it is not `normal`. */
  readonly mode: () => string;
  readonly log: Log;
}

/** The `status` waits at most this long for the inbox, in milliseconds. */
const inboxLimitMs = 1000;

/** Delay before a failed subscription is tried again, in milliseconds. */
const retryMs = 1000;

/** Restores the subscriptions of a new connection and sends `status`, its first event. */
export class SubscriptionRestore {
  constructor(private readonly dependencies: SubscriptionRestoreDependencies) {}

  /**
   * Restores the subscriptions of the session and those that the token requests, then sends `status`. Never
   * rejects.
   *
   * @param inbox resolves when direct messages reach the connection, so that a client with a `status` can
   * receive them
   */
  async run(connection: ClientConnection, session: OpenedSession, inbox: Promise<void>): Promise<void> {
    const { sessions, permissions } = this.dependencies;
    const wanted = new Map(session.topics);
    for (const topic of connection.identity.autoSubscribe)
      if (!wanted.has(topic)) wanted.set(topic, undefined);
    const allowed = [...wanted].filter(
      ([topic]) => isTopicName(topic) && permissions.allows(connection.identity, 'subscribe', topic),
    );
    // From here on the session keeps each of these topics until it is subscribed, even if the connection
    // closes.
    sessions.connected(connection, session.createdAt, new Map(allowed));
    // Before the subscriptions, because nothing may come between them and the status: it is sent before the missed messages.
    await withTimeout(inbox, inboxLimitMs).catch(() => {});
    const subscribed = await Promise.all(allowed.map(([topic]) => this.subscribe(connection, topic)));
    const topics = subscribed.filter((one) => one !== undefined);
    const mode = this.dependencies.mode();
    connection.emit('status', {
      status: 'connected',
      details: {
        connection_id: connection.id,
        session_id: connection.sessionId,
        user_id: connection.identity.userId,
        ...(session.resumed !== undefined && {
          recovered:
            session.resumed &&
            topics.length === allowed.length &&
            topics.every((topic) => topic.recovered === true || !session.topics.has(topic.topic)),
        }),
        ...(mode !== 'normal' && { mode }),
        topics,
      },
    });
  }

  /**
   * Subscribes to a topic that the session still awaits. While the log is unreachable, the subscription is
   * tried again later. Undefined: not subscribed now, or no longer awaited.
   */
  private async subscribe(connection: ClientConnection, topic: string): Promise<Subscribed | undefined> {
    const { topics, sessions, log } = this.dependencies;
    const awaited = sessions.awaited(connection, topic);
    // Meanwhile the client itself has subscribed or unsubscribed.
    if (awaited === undefined) return undefined;
    const { since } = awaited;
    try {
      const subscribed = await topics.subscribe(connection, topic, since);
      if (sessions.holds(connection, topic)) {
        sessions.subscribed(connection, topic, since, subscribed);
        return subscribed;
      }
      // The client has unsubscribed while the subscription was in progress.
      topics.unsubscribe(connection, topic);
      return undefined;
    } catch (error) {
      log.debug('Subscription not restored yet', { connection_id: connection.id, topic, error });
      // A final refusal by a hook is not retried.
      const isForGood = error instanceof RefusalError && errorTable[error.code].retry !== 'yes';
      if (isForGood) sessions.forget(connection, topic);
      else this.subscribeLater(connection, topic);
      return undefined;
    }
  }

  private subscribeLater(connection: ClientConnection, topic: string): void {
    setTimeout(() => {
      if (this.dependencies.registry.connection(connection.id) !== connection) return;
      void this.subscribe(connection, topic).then((subscribed) => {
        if (subscribed === undefined) return;
        connection.emit('status', {
          status: 'subscribed',
          details: { topics: [topic], positions: [subscribed] },
        });
      });
    }, retryMs).unref();
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
