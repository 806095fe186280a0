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

/** The session of a connection while its topics are given back; see `sessions/session-service.ts`. */
export interface WelcomeSessions {
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

export interface SubscriptionRestoreDependencies {
  readonly registry: ConnectionRegistry;
  readonly topics: Topics;
  readonly sessions: WelcomeSessions;
  readonly permissions: Permissions;
  /** The mode that the service is in; told while it is not `normal`. */
  readonly mode: () => string;
  readonly log: Log;
}

/** The `status` waits this long for the inbox, in milliseconds. */
const inboxLimitMs = 1000;

/** Wait before a subscription of the service's own making is tried again, in milliseconds. */
const retryMs = 1000;

/** What a connection gets when it has entered: its subscriptions, and the `status` that begins everything. */
export class SubscriptionRestore {
  constructor(private readonly dependencies: SubscriptionRestoreDependencies) {}

  /**
   * Restores the session's subscriptions and those the token asks for, then sends `status`. Never rejects.
   *
   * @param inbox resolves when direct messages reach the connection: a client that has its status can be reached
   */
  async run(connection: ClientConnection, session: OpenedSession, inbox: Promise<void>): Promise<void> {
    const { sessions, permissions } = this.dependencies;
    const wanted = new Map(session.topics);
    for (const topic of connection.identity.autoSubscribe)
      if (!wanted.has(topic)) wanted.set(topic, undefined);
    const allowed = [...wanted].filter(
      ([topic]) => isTopicName(topic) && permissions.allows(connection.identity, 'subscribe', topic),
    );
    // From here on the session keeps each of them until it is subscribed, whatever becomes of the connection.
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

  /** Takes up a subscription that the session awaits: while the log is away it is tried again. Undefined: not now, or not any more. */
  private async subscribe(connection: ClientConnection, topic: string): Promise<Subscribed | undefined> {
    const { topics, sessions, log } = this.dependencies;
    const awaited = sessions.awaited(connection, topic);
    // The client has subscribed or unsubscribed by itself meanwhile.
    if (awaited === undefined) return undefined;
    const { since } = awaited;
    try {
      const subscribed = await topics.subscribe(connection, topic, since);
      if (sessions.holds(connection, topic)) {
        sessions.subscribed(connection, topic, since, subscribed);
        return subscribed;
      }
      // The client has unsubscribed while this was under way.
      topics.unsubscribe(connection, topic);
      return undefined;
    } catch (error) {
      log.debug('Subscription not restored yet', { connection_id: connection.id, topic, error });
      // What a hook has refused for good is not asked again.
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
