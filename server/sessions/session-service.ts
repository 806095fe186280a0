import { randomUUID } from 'node:crypto';
import type { Position } from '../../shared/position.js';
import type { Log } from '../logging/log.js';
import type { Topics } from '../topics/topics.js';
import type { Connection } from '../protocol/connection.js';
import { sessionIdField } from '../protocol/request-fields.js';
import { LiveSession, type AwaitedTopic } from './live-session.js';
import type { SessionStore, StoredSession } from './session-store.js';

interface SessionServiceDependencies {
  readonly store: SessionStore;
  readonly topics: Topics;
  readonly log: Log;
  readonly now: () => number;
}

/** The session of a new connection. */
export interface OpenedSession {
  readonly id: string;
  /** Whether it resumes the requested session; undefined: none was requested. */
  readonly resumed: boolean | undefined;
  /** Its subscriptions, each with the position of the session. */
  readonly topics: ReadonlyMap<string, Position>;
  /** The positions that the client gives. */
  readonly positions: ReadonlyMap<string, Position>;
  readonly createdAt: number;
}

/** Changed sessions are written this often, in milliseconds. */
const saveMs = 200;
/** Sessions whose positions move are written at least this often. */
const movingMs = 10_000;
/**
 * A session that was written before a stop, this recently, in milliseconds, and has not changed is not written
 * again when its connection closes.
 */
const freshMs = 1000;

/**
 * Sessions: the subscriptions and positions that are restored when a client reconnects, to any replica.
 *
 * Positions from the client are exact. Without them a session continues at the positions that the client has
 * confirmed, however its connection ended: see {@link LiveSession}. So messages may arrive twice, in order,
 * but none is skipped. Topics that are not restored yet stay in the session, even if the connection closes.
 */
export class SessionService {
  private readonly live = new Map<string, LiveSession>();
  private readonly dirty = new Set<LiveSession>();
  private readonly writes = new Set<Promise<void>>();
  private readonly timer: NodeJS.Timeout;
  private isStopping = false;

  constructor(private readonly dependencies: SessionServiceDependencies) {
    this.timer = setInterval(() => void this.save(), saveMs);
    this.timer.unref();
  }

  /**
   * Finds the session to resume, or creates a new one. Never rejects: if the store is unreachable, the session is new.
   *
   * @param requestedId as the client sent it; null and the empty text request none
   */
  async open(
    userId: string,
    requestedId: unknown,
    positions: ReadonlyMap<string, Position>,
  ): Promise<OpenedSession> {
    const now = this.dependencies.now();
    const isRequested = requestedId !== undefined && requestedId !== null && requestedId !== '';
    const stored = isSessionId(requestedId) ? await this.find(requestedId, userId) : undefined;
    return {
      id: stored?.id ?? randomUUID(),
      resumed: isRequested ? stored !== undefined : undefined,
      topics: new Map(Object.entries(stored?.topics ?? {})),
      positions,
      createdAt: stored?.created_at ?? now,
    };
  }

  /** Topics of a session of this user; empty if there is no such session. */
  async topicsOf(sessionId: string, userId: string): Promise<string[]> {
    return Object.keys((await this.find(sessionId, userId))?.topics ?? {});
  }

  /**
   * Starts the session of a connection with these topics, none of them subscribed yet. Undefined position:
   * the topic's current one.
   */
  connected(
    connection: Connection,
    createdAt: number,
    topics: ReadonlyMap<string, Position | undefined>,
  ): void {
    const live = new LiveSession(connection, createdAt, topics);
    this.live.set(connection.id, live);
    this.dirty.add(live);
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
    this.dirty.add(live);
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
    this.dirty.add(live);
  }

  /** Removes a topic of the connection, subscribed or awaited. False if it was not awaited. */
  drop(connection: Connection, topic: string): boolean {
    const live = this.live.get(connection.id);
    if (live === undefined) return false;
    const wasAwaited = live.drop(topic);
    this.dirty.add(live);
    return wasAwaited;
  }

  /**
   * Called when the client answered a heartbeat that was sent, after everything written before it, since the
   * last call.
   */
  onHeartbeat(connection: Connection): void {
    const live = this.live.get(connection.id);
    if (live === undefined) return;
    live.heartbeat(this.dependencies.topics.positions(connection));
    const sinceSavedMs = this.dependencies.now() - live.savedAt;
    if ((live.changed && sinceSavedMs > movingMs) || sinceSavedMs > movingMs * 30) this.dirty.add(live);
  }

  /** Called when the connection is about to leave its rooms. Its close does not confirm what has arrived. */
  left(connection: Connection): void {
    const live = this.live.get(connection.id);
    if (live === undefined) return;
    this.live.delete(connection.id);
    const isFresh = this.dependencies.now() - live.savedAt < freshMs;
    if (live.savedAsLeft && !live.changed && isFresh) return;
    this.dirty.add(live);
    void this.save();
  }

  /**
   * Writes the sessions of all connections, which are about to close and may still change. Resolves when they
   * are written.
   */
  async saveAll(): Promise<void> {
    this.isStopping = true;
    for (const live of this.live.values()) this.dirty.add(live);
    await this.save();
  }

  /** Writes all changed sessions. Resolves when no write is in progress. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.save();
    await Promise.all(this.writes);
  }

  private async save(): Promise<void> {
    const writes = [...this.dirty].map((live) => this.put(live));
    this.dirty.clear();
    for (const write of writes) {
      this.writes.add(write);
      void write.finally(() => this.writes.delete(write));
    }
    await Promise.all(writes);
  }

  /** Never rejects. */
  private async put(live: LiveSession): Promise<void> {
    const { connection, createdAt } = live;
    const now = this.dependencies.now();
    live.savedAt = now;
    live.changed = false;
    const isConnected = !this.isStopping && this.live.get(connection.id) === live;
    live.savedAsLeft = !isConnected;
    const session: StoredSession = {
      id: connection.sessionId,
      user_id: connection.identity.userId,
      topics: Object.fromEntries(
        Array.from(live.topics(), ([topic, { epoch, sequence }]) => [topic, { epoch, sequence }]),
      ),
      created_at: createdAt,
      updated_at: now,
    };
    try {
      await this.dependencies.store.put(session, isConnected);
    } catch (error) {
      live.changed = true;
      this.dependencies.log.debug('Session not saved', { connection_id: connection.id, error });
    }
  }

  private async find(id: string, userId: string): Promise<StoredSession | undefined> {
    try {
      const stored = await this.dependencies.store.get(id);
      return stored?.user_id === userId ? stored : undefined;
    } catch (error) {
      this.dependencies.log.debug('Session not read', { error });
      return undefined;
    }
  }
}

function isSessionId(value: unknown): value is string {
  return sessionIdField.safeParse(value).success;
}
