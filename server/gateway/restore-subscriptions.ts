import { errorTable, RefusalError, type WireError } from '../../shared/errors.js';
import type { Position } from '../../shared/position.js';
import type { Permissions } from '../auth/permissions.js';
import type { Log } from '../logging/log.js';
import type { Connection } from '../protocol/connection.js';
import { withTimeout } from '../primitives/with-timeout.js';
import type { OpenedSession } from '../sessions/opened-session.js';
import { startOf } from '../topics/start-position.js';
import { rejectionOf, type GateSessions, type SubscriptionGate } from '../topics/subscription-gate.js';
import type { Subscribed } from '../topics/topics.js';

/** Sessions as the restoring of subscriptions uses them; see `sessions/session-service.ts`. */
interface RestoredSessions extends Pick<GateSessions, 'awaited' | 'awaitedTopics' | 'drop'> {
  connected(
    connection: Connection,
    session: OpenedSession,
    topics: ReadonlyMap<string, Position | undefined>,
  ): void;
  /** The session is known now, and has these topics. False if the connection has left. */
  resumed(
    connection: Connection,
    session: OpenedSession,
    topics: ReadonlyMap<string, Position | undefined>,
  ): boolean;
  /** Adds a topic that is not subscribed yet. */
  await(connection: Connection, topic: string): void;
}

interface SubscriptionRestoreDependencies {
  /** Whether a connection has not left. */
  readonly isConnected: (connection: Connection) => boolean;
  readonly gate: Pick<SubscriptionGate, 'subscribe' | 'whyNot' | 'heldBy'>;
  readonly sessions: RestoredSessions;
  readonly permissions: Pick<Permissions, 'allows'>;
  /** Admits a command for up to {@link topicsPerCommand} topics: restoring is limited as subscribing is. */
  readonly admit: (connection: Connection) => void | Promise<void>;
  /** Whether a connection is about to be closed, because another replica takes it over. */
  readonly isLeaving: (connection: Connection) => boolean;
  /** The current mode of the service. Included in the `status` if it is not `normal`. */
  readonly mode: () => string;
  readonly log: Log;
}

type Rejected = { topic: string; error: WireError };

/** The `status` waits at most this long for the inbox, and the answer of `refresh` for topics, in milliseconds. */
const patienceMs = 1000;

/** Delay before failed subscriptions are tried again, in milliseconds. It grows while a bug is the reason. */
const retryMs = 1000;
const retryMaxMs = 30_000;

/** As many as in one `subscribe`. */
const topicsPerCommand = 100;

/** A `status` lists this many rejected topics at most. */
const rejectedLimit = 100;

/** Subscribes connections to the topics of their session and token, and sends `status`, their first event. */
export class SubscriptionRestore {
  /** Connections that will try again. */
  private readonly planned = new WeakSet<Connection>();

  constructor(private readonly dependencies: SubscriptionRestoreDependencies) {}

  /**
   * Restores the subscriptions of the session and those that the token requests, then sends `status`. Never
   * rejects.
   *
   * @param inbox resolves when direct messages reach the connection, so that a client with a `status` can
   * receive them
   */
  async run(connection: Connection, session: OpenedSession, inbox: Promise<void>): Promise<void> {
    const { sessions, isLeaving, mode } = this.dependencies;
    const { allowed, rejected } = this.admissible(connection, session, new Set());
    // From here on the session keeps each of these topics until it is subscribed, even if the connection
    // closes.
    sessions.connected(connection, session, allowed);
    void session.later?.then((known) => known && this.resume(connection, known));
    // Before the subscriptions, because nothing may come between them and the status: it is sent before the missed messages.
    await withTimeout(inbox, patienceMs).catch(() => {});
    const topics = await this.attempt(connection, [...allowed.keys()], rejected);
    // The next replica restores them: a status of this one would tell of a loss that is none.
    if (topics.length < allowed.size && isLeaving(connection)) return;
    connection.emit('status', {
      status: 'connected',
      details: {
        connection_id: connection.id,
        session_id: connection.sessionId,
        user_id: connection.identity.userId,
        ...(session.resumed !== undefined && {
          recovered:
            isExact(session) &&
            topics.length === allowed.size &&
            !rejected.some(({ error }) => error.code === 'too_many_topics') &&
            topics.every(({ topic, recovered }) => recovered === true || !isResumed(session, topic)),
        }),
        ...(mode() !== 'normal' && { mode: mode() }),
        topics,
        ...(rejected.length > 0 && { rejected: rejected.slice(0, rejectedLimit) }),
      },
    });
  }

  /**
   * Subscribes a connection to the topics that its token requests. Resolves after the first attempt, or when
   * that takes long. A `status` follows.
   */
  async subscribeToken(connection: Connection): Promise<void> {
    const { gate, sessions } = this.dependencies;
    const held = gate.heldBy(connection);
    const rejected: Rejected[] = [];
    const added: string[] = [];
    for (const topic of connection.identity.autoSubscribe) {
      if (held.has(topic)) continue;
      const error = gate.whyNot(connection, topic, held);
      if (error === undefined) added.push(topic);
      else rejected.push(rejectionOf(topic, error));
    }
    for (const topic of added) sessions.await(connection, topic);
    if (added.length + rejected.length === 0) return;
    await withTimeout(this.attemptLater(connection, added, rejected), patienceMs).catch(() => {});
  }

  /** The session could be read at last: its topics are restored, and a `status` follows. */
  private async resume(connection: Connection, session: OpenedSession): Promise<void> {
    const { gate, sessions, log } = this.dependencies;
    try {
      const { allowed, rejected } = this.admissible(connection, session, gate.heldBy(connection));
      if (sessions.resumed(connection, session, allowed))
        await this.attemptLater(connection, [...allowed.keys()], rejected);
    } catch (error) {
      log.error('Session not resumed', { connection_id: connection.id, error });
    }
  }

  /**
   * The topics of a session that the connection may have, each with its start, and the others. `held` are the
   * topics that it has already.
   */
  private admissible(
    connection: Connection,
    session: OpenedSession,
    held: Set<string>,
  ): { allowed: Map<string, Position | undefined>; rejected: Rejected[] } {
    const { gate, permissions } = this.dependencies;
    const allowed = new Map<string, Position | undefined>();
    const rejected: Rejected[] = [];
    const { identity } = connection;
    for (const topic of new Set([
      ...session.topics.keys(),
      ...session.positions.keys(),
      ...identity.autoSubscribe,
    ])) {
      const error = gate.whyNot(connection, topic, held);
      if (error === undefined) {
        const mayReadHistory = permissions.allows(identity, 'history', topic);
        allowed.set(topic, startOf(session.positions.get(topic), session.topics.get(topic), mayReadHistory));
      } else if (rejected.length < rejectedLimit) rejected.push(rejectionOf(topic, error));
    }
    return { allowed, rejected };
  }

  /**
   * Subscribes to topics that the session still awaits. What is refused for good leaves the session; the rest
   * is tried again later.
   */
  private async attempt(
    connection: Connection,
    names: readonly string[],
    rejected: Rejected[],
    retries = 0,
  ): Promise<Subscribed[]> {
    const { admit, gate, sessions, log } = this.dependencies;
    const subscribed: Subscribed[] = [];
    const failures: unknown[] = [];
    for (let i = 0; i < names.length; i += topicsPerCommand) {
      // Meanwhile the client itself may have subscribed or unsubscribed.
      const some = names
        .slice(i, i + topicsPerCommand)
        .filter((topic) => sessions.awaited(connection, topic) !== undefined);
      if (some.length === 0) continue;
      try {
        await admit(connection);
      } catch (error) {
        failures.push(error);
        break;
      }
      const requests = some.map((topic) => ({ topic, field: 'topic', onlyIfAwaited: true }));
      for (const outcome of await gate.subscribe(connection, requests)) {
        if ('subscribed' in outcome) subscribed.push(outcome.subscribed);
        // Meanwhile the client itself has subscribed or unsubscribed.
        else if (sessions.awaited(connection, outcome.topic) === undefined) continue;
        else if (!isForGood(outcome.error)) failures.push(outcome.error);
        else if (sessions.drop(connection, outcome.topic))
          rejected.push(rejectionOf(outcome.topic, outcome.error));
      }
    }
    if (failures.length > 0) {
      const fields = { connection_id: connection.id, error: failures[0] };
      if (failures[0] instanceof RefusalError) log.debug('Subscriptions not restored yet', fields);
      else log.error('Subscriptions not restored yet', fields);
      this.plan(connection, failures, retries);
    }
    return subscribed;
  }

  private plan(connection: Connection, failures: readonly unknown[], retries: number): void {
    if (this.planned.has(connection)) return;
    this.planned.add(connection);
    const isBug = failures.some((error) => !(error instanceof RefusalError) || error.code === 'internal');
    const asked = failures.map((error) =>
      error instanceof RefusalError ? (error.details.retryAfterMs ?? 0) : 0,
    );
    const delayMs = Math.max(retryMs * (isBug ? 2 ** Math.min(retries, 5) : 1), ...asked);
    setTimeout(
      () => {
        this.planned.delete(connection);
        const { isConnected, sessions } = this.dependencies;
        if (!isConnected(connection)) return;
        void this.attemptLater(connection, [...sessions.awaitedTopics(connection)], [], retries + 1);
      },
      Math.min(delayMs, retryMaxMs),
    ).unref();
  }

  /** As {@link attempt}, for a connection that has its first `status`: the result comes in another one. */
  private async attemptLater(
    connection: Connection,
    names: readonly string[],
    rejected: Rejected[],
    retries = 0,
  ): Promise<void> {
    const positions = await this.attempt(connection, names, rejected, retries);
    if (positions.length + rejected.length === 0) return;
    connection.emit('status', {
      status: 'subscribed',
      details: {
        topics: positions.map(({ topic }) => topic),
        positions,
        ...(rejected.length > 0 && { rejected: rejected.slice(0, rejectedLimit) }),
      },
    });
  }
}

/** Whether the topics of a session begin where this client is. */
function isExact({ resumed, isCopy, topics, positions }: OpenedSession): boolean {
  return resumed === true || (isCopy === true && [...topics.keys()].every((topic) => positions.has(topic)));
}

function isResumed({ topics, positions }: OpenedSession, topic: string): boolean {
  return topics.has(topic) || positions.has(topic);
}

/** A refusal that a repetition does not change. */
function isForGood(error: unknown): boolean {
  return error instanceof RefusalError && errorTable[error.code].retry !== 'yes';
}
