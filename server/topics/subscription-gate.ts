import { RefusalError, toWireError, type WireError } from '../../shared/errors.js';
import type { Position } from '../../shared/position.js';
import { readTopicName } from '../../shared/topic-name.js';
import type { Permissions } from '../auth/permissions.js';
import type { Connection } from '../protocol/connection.js';
import type { Identity } from '../protocol/identity.js';
import { startOf } from './start-position.js';
import { PendingSubscriptions, type PendingSubscription } from './pending-subscriptions.js';
import type { Subscribed, Topics } from './topics.js';

/** One topic that a connection is to be subscribed to. */
export interface SubscriptionRequest {
  /** As the client gave it; not checked yet. */
  readonly topic: string;
  /** The field of the request that holds the topic, for errors. */
  readonly field: string;
  /** The position that the client gives. Without one, a topic of its session starts where the session is. */
  readonly since?: Position | undefined;
  /** Also send `presence` events of the topic. */
  readonly presence?: boolean;
  /**
   * The service restores a topic of the session: nothing is done if the client itself has subscribed or
   * unsubscribed in the meantime.
   */
  readonly onlyIfAwaited?: boolean;
}

/** What became of a {@link SubscriptionRequest}. */
export type SubscriptionOutcome =
  | { readonly topic: string; readonly subscribed: Subscribed }
  | { readonly topic: string; readonly error: unknown };

/** Sessions as the gate uses them; see `sessions/session-service.ts`. */
export interface GateSessions {
  /** A topic that the session is still to get back. */
  awaited(connection: Connection, topic: string): { readonly since: Position | undefined } | undefined;
  /** The topics that the session is still to get back. */
  awaitedTopics(connection: Connection): Iterable<string>;
  /**
   * The connection is about to be subscribed: from `since`, if given. Resolves when its session has the topic, so that it
   * is not lost with this replica once the client knows of it.
   */
  prepare(connection: Connection, topic: string, since: Position | undefined): Promise<void> | undefined;
  /** The connection has not been subscribed. */
  unprepare(connection: Connection, topic: string): void;
  /** The connection is subscribed: from `since`, if given, else from `at`. */
  subscribed(connection: Connection, topic: string, since: Position | undefined, at: Position): void;
  /** Removes a topic, subscribed or awaited. A later resume does not bring it back. True if it was awaited. */
  drop(connection: Connection, topic: string): boolean;
}

/** Presence events, as the gate switches them on and off. */
export interface PresenceWatching {
  watch(connection: Connection, topic: string): void;
  unwatch(connection: Connection, topic: string): void;
  /** The topics whose presence events a connection receives. */
  watchedBy(connection: Connection): string[];
}

interface SubscriptionGateDependencies {
  readonly topics: Pick<Topics, 'subscribe' | 'unsubscribe' | 'topicsOf'>;
  readonly permissions: Pick<Permissions, 'check' | 'allows'>;
  readonly sessions: GateSessions;
  readonly presence: PresenceWatching;
  /** Whether operators currently allow subscriptions. @throws RefusalError `read_only` */
  readonly checkMode: () => void;
  /** The hook of an embedding program; rejects to refuse. Undefined if there is none. */
  readonly onSubscribe: (connection: Connection, topic: string) => Promise<void> | undefined;
  /** Called with each subscription that is refused. What is no name of a topic may be as long as a request. */
  readonly onRefused?: ((connection: Connection, topic: string, error: RefusalError) => void) | undefined;
}

interface SubscriptionGateSettings {
  readonly maxTopicsPerConnection: number;
}

/**
 * The only way into topics and out of them, for commands, sessions, positions of a handshake, tokens that
 * subscribe, refreshed tokens and operators.
 *
 * Every check is made before anything is joined: name, mode, rights, limit, hook. The limit counts the topics
 * that a connection has, those on their way and those that its session still awaits. The checks that can
 * change while a hook or the log takes its time are made again in the turn in which the connection joins.
 */
export class SubscriptionGate {
  private readonly pending = new PendingSubscriptions();

  constructor(
    private readonly dependencies: SubscriptionGateDependencies,
    private readonly settings: SubscriptionGateSettings,
  ) {}

  /**
   * Subscribes a connection to topics, each by itself. Never rejects. The outcomes are in the order of the requests.
   *
   * @param onSettled called with each topic that is subscribed, or will not be: perhaps long before a hook or the log
   * has answered
   */
  async subscribe(
    connection: Connection,
    requests: readonly SubscriptionRequest[],
    onSettled: (topic: string) => void = () => {},
  ): Promise<SubscriptionOutcome[]> {
    const held = this.heldBy(connection);
    return Promise.all(
      requests.map(async (request) => {
        const settled = () => onSettled(request.topic);
        try {
          return { topic: request.topic, subscribed: await this.one(connection, request, held, settled) };
        } catch (error) {
          if (error instanceof RefusalError) this.dependencies.onRefused?.(connection, request.topic, error);
          return { topic: request.topic, error };
        } finally {
          settled();
        }
      }),
    );
  }

  /**
   * Why a session may not get back a topic; undefined if it may. `held` are the topics that it has so far; a
   * topic that is admitted is added.
   */
  whyNot(connection: Connection, topic: string, held: Set<string>): RefusalError | undefined {
    try {
      readTopicName(topic, 'topic');
      this.dependencies.permissions.check(connection.identity, 'subscribe', topic);
      this.admit(topic, held);
      return undefined;
    } catch (error) {
      if (error instanceof RefusalError) return error;
      throw error;
    }
  }

  /** Ends subscriptions, also those on their way. Returns the topics that the connection had. */
  unsubscribe(connection: Connection, names: readonly string[]): string[] {
    const { topics, sessions, presence } = this.dependencies;
    return [...new Set(names)].filter((topic) => {
      const wasPending = this.pending.cancel(connection, topic);
      const wasSubscribed = topics.unsubscribe(connection, topic);
      const wasAwaited = sessions.drop(connection, topic);
      presence.unwatch(connection, topic);
      return wasSubscribed || wasAwaited || wasPending;
    });
  }

  /**
   * Called when a connection has a new token. What it does not allow any more ends, and the client is
   * notified. What the former token did not allow either was given by the program, and stays.
   */
  identityChanged(connection: Connection, former: Identity): void {
    const { permissions, presence } = this.dependencies;
    const lost = (action: 'subscribe' | 'presence') => (topic: string) =>
      permissions.allows(former, action, topic) && !permissions.allows(connection.identity, action, topic);
    const unwatched = presence.watchedBy(connection).filter(lost('presence'));
    for (const topic of unwatched) presence.unwatch(connection, topic);
    const left = this.unsubscribe(connection, [...this.heldBy(connection)].filter(lost('subscribe')));
    const notify = (status: string, topics: readonly string[]) => {
      if (topics.length === 0) return;
      const reason = toWireError(new RefusalError('forbidden', 'the new token does not allow this'));
      connection.emit('status', { status, details: { topics, by: 'token', reason } });
    };
    notify('unsubscribed', left);
    notify(
      'presence_ended',
      unwatched.filter((topic) => !left.includes(topic)),
    );
  }

  /** Topics that count for the limit of a connection. */
  heldBy(connection: Connection): Set<string> {
    const { topics, sessions } = this.dependencies;
    const held = new Set(topics.topicsOf(connection));
    for (const topic of sessions.awaitedTopics(connection)) held.add(topic);
    for (const topic of this.pending.topicsOf(connection)) held.add(topic);
    return held;
  }

  private async one(
    connection: Connection,
    request: SubscriptionRequest,
    held: Set<string>,
    onCancelled: () => void,
  ): Promise<Subscribed> {
    const { topics, permissions, sessions, presence, onSubscribe } = this.dependencies;
    const topic = readTopicName(request.topic, request.field);
    this.check(connection, request);
    this.admit(topic, held);
    const pending = this.pending.add(connection, topic, onCancelled);
    try {
      const hook = onSubscribe(connection, topic);
      if (hook !== undefined) await hook;
      this.confirm(connection, request, pending);
      const mayReadHistory = permissions.allows(connection.identity, 'history', topic);
      const awaited = sessions.awaited(connection, topic);
      const since = startOf(request.since, awaited?.since, mayReadHistory);
      // False if the position is that of the session, and the topic has been subscribed from another one meanwhile.
      const isWanted = () =>
        request.since !== undefined ||
        awaited === undefined ||
        sessions.awaited(connection, topic) !== undefined;
      const prepared = sessions.prepare(connection, topic, since);
      if (prepared !== undefined) await prepared;
      let wanted = true;
      const subscribed = await topics.subscribe(connection, topic, since, () => {
        this.confirm(connection, request, pending);
        if (mayReadHistory && request.since !== undefined)
          permissions.check(connection.identity, 'history', topic);
        return (wanted = isWanted());
      });
      sessions.subscribed(connection, topic, wanted ? since : undefined, subscribed);
      if (request.presence === true) presence.watch(connection, topic);
      return subscribed;
    } catch (error) {
      sessions.unprepare(connection, topic);
      throw error;
    } finally {
      this.pending.end(connection, pending);
    }
  }

  /** @throws RefusalError if mode or rights do not allow the subscription now */
  private check({ identity }: Connection, { topic, presence }: SubscriptionRequest): void {
    const { permissions, checkMode } = this.dependencies;
    checkMode();
    permissions.check(identity, 'subscribe', topic);
    if (presence === true) permissions.check(identity, 'presence', topic);
  }

  private confirm(connection: Connection, request: SubscriptionRequest, pending: PendingSubscription): void {
    if (pending.isCancelled)
      throw new RefusalError('conflict', `${request.topic} was unsubscribed in the meantime`);
    if (request.onlyIfAwaited && this.dependencies.sessions.awaited(connection, request.topic) === undefined)
      throw new RefusalError('conflict', `${request.topic} was subscribed in the meantime`);
    this.check(connection, request);
  }

  /** @throws RefusalError `too_many_topics` */
  private admit(topic: string, held: Set<string>): void {
    const limit = this.settings.maxTopicsPerConnection;
    if (!held.has(topic) && held.size >= limit)
      throw new RefusalError('too_many_topics', `a connection may hold ${limit} topics`, { limit });
    held.add(topic);
  }
}

/** An outcome's error, for the client. The topic is named as it was asked for, whatever it is: by it the client knows which one is refused. */
export function rejectionOf(topic: string, error: unknown): { topic: string; error: WireError } {
  return { topic, error: toWireError(error) };
}
