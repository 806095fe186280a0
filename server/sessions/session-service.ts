import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Position } from '../../shared/position.js';
import type { Log } from '../logging/log.js';
import { withTimeout } from '../primitives/with-timeout.js';
import type { DeliveryRecord } from '../tracing/delivery-record.js';
import type { Connection } from '../protocol/connection.js';
import { sessionIdField } from '../protocol/request-fields.js';
import type { Topics } from '../topics/topics.js';
import { LiveSession, type AwaitedTopic } from './live-session.js';
import { newSession, openedBy, type OpenedSession } from './opened-session.js';
import { SessionClaims, type Claim } from './session-claims.js';
import { SessionHolders, type HolderCalls } from './session-holders.js';
import { ownerName } from './session-lease.js';
import type { SessionStore } from './session-store.js';
import { SessionWrites } from './session-writes.js';

interface SessionServiceDependencies {
  readonly store: SessionStore;
  readonly topics: Pick<Topics, 'positions'>;
  readonly replicaId: string;
  /** Calls to the other replicas. */
  readonly calls: HolderCalls;
  /** Whether the client of a connection answers a ping within a short time. */
  readonly isAlive: (connection: Connection) => Promise<boolean>;
  /** Position of the inbox of a connection's user, if it is known. */
  readonly inboxOf?: (connection: Connection) => Position | undefined;
  /** Remembers the connections that have left. */
  readonly record?: Pick<DeliveryRecord, 'left'> | undefined;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

interface SessionServiceSettings {
  readonly ttlMs: number;
}

/** Sessions whose positions move within their epochs are written at least this often, in milliseconds. */
const movingMs = 10_000;
/** A connection waits this long for its session; then the session follows. */
const patienceMs = 3000;
/** Delay before a session that could not be read is read again, in milliseconds. */
const retryMs = 500;
/** An attempt that has not become a connection by then never will, in milliseconds. */
const attachLimitMs = 120_000;

/**
 * Sessions: the subscriptions and positions that are restored when a client reconnects, to any replica. Who
 * may write one, and what each event does to it: {@link import('./session-lease.js').SessionLease}.
 *
 * Positions from the client are exact. Without them a session continues at the positions that the client has
 * confirmed, however its connection ended: see {@link LiveSession}. So messages may arrive twice, in order,
 * but none is skipped. Topics that are not restored yet stay in the session, even if the connection closes.
 */
export class SessionService {
  private readonly live = new Map<string, LiveSession>();
  private readonly claims: SessionClaims;
  private readonly writes: SessionWrites;
  private readonly holders: SessionHolders;
  private readonly inboxOf: (connection: Connection) => Position | undefined;
  /** Holders whose session is still to be claimed. */
  private readonly pending = new Set<string>();
  private isClosed = false;

  constructor(
    private readonly dependencies: SessionServiceDependencies,
    { ttlMs }: SessionServiceSettings,
  ) {
    const { store, log, now, replicaId, calls, isAlive, inboxOf = () => undefined } = dependencies;
    this.inboxOf = inboxOf;
    this.writes = new SessionWrites(
      {
        store,
        log,
        now,
        live: () => this.live.values(),
        inboxOf,
        handedTo: (connection) => dependencies.topics.positions(connection),
      },
      { ttlMs },
    );
    this.holders = new SessionHolders({ replicaId, calls, isAlive, writes: this.writes });
    this.claims = new SessionClaims({ store, keepsSession: this.holders.keepsSession });
  }

  /**
   * Finds the session to resume, or creates a new one. Never rejects: while the store does not answer, the
   * session follows `later`.
   *
   * @param requestedId as the client sent it; null and the empty text request none
   */
  async open(
    userId: string,
    requestedId: unknown,
    positions: ReadonlyMap<string, Position>,
  ): Promise<OpenedSession> {
    const owner = ownerName(randomUUID(), this.dependencies.replicaId);
    const isRequested = requestedId !== undefined && requestedId !== null && requestedId !== '';
    const wish = { owner, isRequested, positions, now: this.dependencies.now() };
    if (!isSessionId(requestedId)) return newSession(wish);
    const claiming = this.claims.claim(requestedId, userId, owner);
    try {
      return openedBy(await withTimeout(claiming, patienceMs), wish);
    } catch (error) {
      this.dependencies.log.debug('Session not read', { error });
    }
    this.pending.add(owner);
    setTimeout(() => this.holders.of(owner) ?? this.pending.delete(owner), attachLimitMs).unref();
    const later = this.claimLater(claiming, requestedId, userId, owner).then(
      (claim) => claim && openedBy(claim, wish),
    );
    return { ...newSession(wish), id: requestedId, later };
  }

  /** Topics of a stored session. `none`: there is no such session of this user. */
  async topicsOf(sessionId: string, userId: string): Promise<readonly string[] | 'none' | 'unreadable'> {
    try {
      const stored = await this.dependencies.store.get(sessionId);
      return stored?.user_id === userId ? Object.keys(stored.topics) : 'none';
    } catch (error) {
      this.dependencies.log.debug('Session not read', { error });
      return 'unreadable';
    }
  }

  /**
   * Starts the session of a connection with these topics, none of them subscribed yet. Undefined position:
   * the topic's current one.
   */
  connected(
    connection: Connection,
    { id, lease, createdAt, later, resumed, topics: stored }: OpenedSession,
    topics: ReadonlyMap<string, Position | undefined>,
  ): void {
    const live = new LiveSession(connection, id, lease, createdAt, topics);
    live.isPending = later !== undefined;
    live.isStored = resumed === true;
    live.hasOtherTopics =
      live.isStored &&
      (stored.size !== topics.size || [...topics.keys()].some((topic) => !stored.has(topic)));
    this.live.set(connection.id, live);
    this.holders.add(live);
    this.writes.changed(live);
  }

  /**
   * The session of a connection is known now, see `OpenedSession.later`. These topics of it are awaited from
   * now on, but for those that the client has subscribed or unsubscribed itself. False if the connection has
   * left.
   */
  resumed(
    connection: Connection,
    session: OpenedSession,
    topics: ReadonlyMap<string, Position | undefined>,
  ): boolean {
    const live = this.live.get(connection.id);
    if (live === undefined) return false;
    live.createdAt = session.createdAt;
    if (live.isForked) {
      live.resumed(live.lease, topics);
      if (session.resumed === true) void this.replaced(live, session);
    } else {
      this.rename(live, session.id);
      live.resumed(session.lease, topics);
    }
    this.writes.changed(live);
    return true;
  }

  /** A topic that is not restored yet; undefined if it is, or should not be any more. */
  awaited(connection: Connection, topic: string): AwaitedTopic | undefined {
    return this.live.get(connection.id)?.awaited(topic);
  }

  /** Whether the session of the connection has the topic, subscribed or awaited. */
  holds(connection: Connection, topic: string): boolean {
    return this.live.get(connection.id)?.holds(topic) ?? false;
  }

  /**
   * Called when the connection is subscribed to a topic: from `since` if given, or else from `at`. Must be
   * called before anything more is delivered.
   */
  subscribed(connection: Connection, topic: string, since: Position | undefined, at: Position): void {
    const live = this.live.get(connection.id);
    if (live === undefined) return;
    live.subscribed(topic, since, at);
    this.writes.changed(live);
  }

  /**
   * The connection is about to be subscribed to a topic: from `since` if given. Resolves when its session has the topic,
   * also in the store; undefined if it has it already. A store that does not answer is waited for a short time.
   */
  prepare(connection: Connection, topic: string, since: Position | undefined): Promise<void> | undefined {
    const live = this.live.get(connection.id);
    if (live?.prepare(topic, since) !== true) return undefined;
    this.fork(live);
    return this.writes.soon(live);
  }

  /** The connection has not been subscribed to a topic that was prepared. */
  unprepare(connection: Connection, topic: string): void {
    const live = this.live.get(connection.id);
    if (live?.unprepare(topic) === true) this.writes.changed(live);
  }

  /** Resolves when the store has the session as it is now, or after a short time. Undefined if it has it already. */
  stored(connection: Connection): Promise<void> | undefined {
    const live = this.live.get(connection.id);
    return live !== undefined && this.writes.isUnwritten(live) ? this.writes.soon(live) : undefined;
  }

  /** The topics that are not restored yet. */
  awaitedTopics(connection: Connection): Iterable<string> {
    return this.live.get(connection.id)?.awaitedTopics ?? [];
  }

  /** Adds a topic that the service is to subscribe the connection to, from its current position. */
  await(connection: Connection, topic: string): void {
    const live = this.live.get(connection.id);
    if (live === undefined) return;
    live.await(topic);
    this.writes.changed(live);
  }

  /** Removes a topic of the connection, subscribed or awaited. False if it was not awaited. */
  drop(connection: Connection, topic: string): boolean {
    const live = this.live.get(connection.id);
    if (live === undefined) return false;
    const wasAwaited = live.drop(topic);
    this.fork(live);
    this.writes.changed(live);
    return wasAwaited;
  }

  /**
   * Called when the client answered a heartbeat that was sent, after everything written before it, since the
   * last call.
   */
  onHeartbeat(connection: Connection): void {
    const live = this.live.get(connection.id);
    if (live === undefined) return;
    live.heartbeat(this.dependencies.topics.positions(connection), this.dependencies.now());
    if (live.answersSinceLost !== undefined) {
      // The first answer may have been on its way when the session was lost.
      if (++live.answersSinceLost >= 2) void this.separate(live);
    } else if (live.changed && performance.now() - live.savedAt > movingMs) this.writes.changed(live);
  }

  /** Up to where the client of a connection has confirmed a topic, and when it last confirmed anything by a heartbeat. */
  confirmedBy(
    connection: Connection,
    topic: string,
  ): { readonly position: Position | undefined; readonly lastAt: number | undefined } {
    const live = this.live.get(connection.id);
    return { position: live?.confirmed.get(topic), lastAt: live?.confirmedAt };
  }

  /** Called when the connection is about to leave its rooms. Its close does not confirm what has arrived. */
  left(connection: Connection): void {
    const live = this.live.get(connection.id);
    if (live === undefined) return;
    this.live.delete(connection.id);
    this.pending.delete(live.lease.owner);
    this.dependencies.record?.left(connection, live.confirmed);
    live.left(this.dependencies.topics.positions(connection), this.inboxOf(connection));
    void this.writes.left(live).then(() => this.holders.delete(live));
  }

  /** Called when the store is reachable again: it may have lost sessions. */
  rewrite(): void {
    this.writes.goOn();
    for (const live of this.live.values()) this.writes.changed(live);
    void this.writes.restoreLeft();
  }

  /**
   * Writes and releases the sessions of all connections, which are about to close and may still change. Resolves
   * when they are written.
   */
  async saveAll(): Promise<void> {
    await this.writes.releaseAll();
  }

  /** Writes all changed sessions. Resolves when no write is in progress. */
  async close(): Promise<void> {
    this.isClosed = true;
    await this.writes.close();
  }

  /** Resolves when the session is claimed, or known not to exist; to undefined if its connection has left. */
  private async claimLater(
    claiming: Promise<Claim>,
    id: string,
    userId: string,
    owner: string,
  ): Promise<Claim | undefined> {
    for (let attempt = claiming; ; attempt = this.claims.claim(id, userId, owner)) {
      try {
        const claim = await attempt;
        return this.pending.delete(owner) ? claim : undefined;
      } catch (error) {
        if (!this.pending.has(owner) || this.isClosed) return undefined;
        this.dependencies.log.debug('Session not read yet', { error });
        await sleep(retryMs, undefined, { ref: false });
      }
    }
  }

  /** The client has changed the topics of a session that is not known yet: see `LiveSession.isForked`. */
  private fork(live: LiveSession): void {
    if (!live.isPending || live.isForked) return;
    live.isForked = true;
    this.rename(live, randomUUID());
  }

  /** A session has gone over into the one of a connection with an id of its own. */
  private async replaced(live: LiveSession, { id, lease }: OpenedSession): Promise<void> {
    try {
      await this.writes.soon(live);
      await this.dependencies.store.forget(id, lease);
    } catch (error) {
      this.dependencies.log.debug('Former session not removed', { error });
    }
  }

  /**
   * Two clients have the id of this session, and the other one holds it. The id is retired: each of them gets
   * one of its own, with its own topics, and is notified.
   */
  private async separate(live: LiveSession): Promise<void> {
    try {
      await this.dependencies.store.retire(live.id);
    } catch (error) {
      this.dependencies.log.debug('Session not retired yet', { error });
      return;
    }
    if (live.answersSinceLost === undefined) return;
    live.answersSinceLost = undefined;
    this.rename(live, randomUUID());
    live.lease = { generation: 1, owner: live.lease.owner };
    this.writes.changed(live);
  }

  /** The session goes on under another id, and the client is notified. */
  private rename(live: LiveSession, id: string): void {
    if (live.id === id) return;
    const { connection } = live;
    const details = { session_id: id, previous: live.id };
    live.id = id;
    connection.sessionId = id;
    this.dependencies.log.info('Session id changed', { connection_id: connection.id, ...details });
    connection.emit('status', { status: 'session', details });
  }
}

function isSessionId(value: unknown): value is string {
  return sessionIdField.safeParse(value).success;
}
