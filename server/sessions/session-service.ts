import { randomUUID } from 'node:crypto';
import type { Position, Positions } from '../../shared/position.js';
import type { Log } from '../logging/log.js';
import type { Topics } from '../topics/topics.js';
import type { Connection } from '../protocol/connection.js';
import { PositionList } from './position-list.js';
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
  /** Whether it resumes an earlier session. */
  readonly resumed: boolean;
  /** Subscriptions to restore, each from its position. */
  readonly topics: ReadonlyMap<string, Position | undefined>;
  readonly createdAt: number;
}

/** The state in memory of a connected session. */
interface Live {
  readonly connection: Connection;
  readonly createdAt: number;
  /** Positions that the client is known to have received. */
  readonly confirmed: PositionList;
  /** Positions at the last heartbeat: confirmed by the next one. */
  noted: Map<string, Position> | undefined;
  savedAt: number;
  changed: boolean;
}

/** Changed sessions are written this often, in milliseconds. */
const saveMs = 200;
/** Sessions whose positions move are written at least this often. */
const movingMs = 10_000;

/**
 * Sessions: the subscriptions and positions that a client gets back when it reconnects, to any replica.
 *
 * If the client sends no positions, the session resumes from the last position that the client is known to have received. After a clean
 * disconnect that is the last message handed to its transport. After an abrupt loss it is the position at the last but one heartbeat,
 * because later messages may never have arrived. So messages may be repeated, but none is skipped. Positions from the client are exact.
 */
export class SessionService {
  private readonly live = new Map<string, Live>();
  private readonly dirty = new Set<Live>();
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly dependencies: SessionServiceDependencies) {
    this.timer = setInterval(() => void this.save(), saveMs);
    this.timer.unref();
  }

  /** Finds the session to resume, or creates a new one. Never rejects: if the store is unreachable, the session is new. */
  async open(userId: string, requestedId: string | undefined, positions: Positions): Promise<OpenedSession> {
    const now = this.dependencies.now();
    const stored = requestedId === undefined ? undefined : await this.find(requestedId, userId);
    const topics = new Map<string, Position | undefined>(Object.entries(stored?.topics ?? {}));
    for (const [topic, position] of Object.entries(positions)) topics.set(topic, position);
    return {
      id: stored?.id ?? randomUUID(),
      resumed: stored !== undefined,
      topics,
      createdAt: stored?.created_at ?? now,
    };
  }

  /** Topics of a session of this user; none when there is no such session. */
  async topicsOf(sessionId: string, userId: string): Promise<string[]> {
    return Object.keys((await this.find(sessionId, userId))?.topics ?? {});
  }

  /** Called when the connection has its subscriptions. */
  connected(connection: Connection, createdAt: number): void {
    const live: Live = {
      connection,
      createdAt,
      confirmed: new PositionList(),
      noted: undefined,
      savedAt: 0,
      changed: true,
    };
    this.live.set(connection.id, live);
    this.onChanged(connection);
  }

  /** Called when the subscriptions of a connection have changed. */
  onChanged(connection: Connection): void {
    const live = this.live.get(connection.id);
    if (live === undefined) return;
    const positions = this.dependencies.topics.positions(connection);
    live.confirmed.follow(positions);
    this.dirty.add(live);
  }

  /** Called when the client answers a heartbeat: everything written before the previous heartbeat has arrived. */
  onHeartbeat(connection: Connection): void {
    const live = this.live.get(connection.id);
    if (live === undefined || live.confirmed.size === 0) return;
    const positions = this.dependencies.topics.positions(connection);
    if (live.noted !== undefined) {
      if (live.confirmed.advance(live.noted)) live.changed = true;
    }
    live.noted = live.confirmed.isSame(positions) ? undefined : positions;
    const renew = this.dependencies.now() - live.savedAt > movingMs * 30;
    if ((live.changed && this.dependencies.now() - live.savedAt > movingMs) || renew) this.dirty.add(live);
  }

  /** Called before the connection leaves its rooms. */
  left(connection: Connection, clean: boolean): void {
    const live = this.live.get(connection.id);
    if (live === undefined) return;
    this.live.delete(connection.id);
    if (clean) live.confirmed.replace(this.dependencies.topics.positions(connection));
    this.dirty.add(live);
    void this.save();
  }

  /** Writes every session that has changed. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.save();
  }

  private async save(): Promise<void> {
    const writes = [...this.dirty].map((live) => this.put(live));
    this.dirty.clear();
    await Promise.all(writes);
  }

  private async put(live: Live): Promise<void> {
    const { connection, createdAt } = live;
    const now = this.dependencies.now();
    live.savedAt = now;
    live.changed = false;
    const session: StoredSession = {
      id: connection.sessionId,
      user_id: connection.identity.userId,
      topics: Object.fromEntries(
        [...live.confirmed.entries()].map(([topic, { epoch, sequence }]) => [topic, { epoch, sequence }]),
      ),
      created_at: createdAt,
      updated_at: now,
    };
    try {
      await this.dependencies.store.put(session);
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
