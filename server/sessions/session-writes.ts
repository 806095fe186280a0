import type { Position } from '../../shared/position.js';
import type { Log } from '../logging/log.js';
import { withTimeout } from '../primitives/with-timeout.js';
import type { Connection } from '../protocol/connection.js';
import type { LiveSession } from './live-session.js';
import type { HolderAnswer } from './holder-answer.js';
import { RecentSessions } from './recent-sessions.js';
import { NoRoomError, type SessionStore, type StoredSession } from './session-store.js';

interface SessionWritesDependencies {
  readonly store: Pick<SessionStore, 'save' | 'get' | 'forget'>;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** The sessions of all connections. */
  readonly live: () => Iterable<LiveSession>;
  readonly inboxOf: (connection: Connection) => Position | undefined;
  /** The positions passed to the transport of a connection. */
  readonly handedTo: (connection: Connection) => ReadonlyMap<string, Position>;
}

/** Changed sessions are written this often, in milliseconds. */
const saveMs = 50;
/** Pause after a failed write, in milliseconds. */
const failedPauseMs = 1000;
/** Who waits for a write goes on after this time, in milliseconds. */
const soonLimitMs = 500;
/** Writes in flight at the same time. */
const writesMax = 500;
/** An unchanged session is written at least this often, in milliseconds: Redis may have lost it. */
const renewMaxMs = 300_000;
/** Sessions of connections that have left and could not be written yet. Past this number the oldest are given up. */
const leftMax = 20_000;
/** A stop waits this long for writes, in milliseconds. */
const closeLimitMs = 2000;

/**
 * Writes sessions: soon after a change, before they expire, and once more when their connection leaves. What
 * could not be written is written later.
 */
export class SessionWrites {
  private readonly dirty = new Set<LiveSession>();
  /** Sessions of connections that have left, until they are written; resolves their promises. */
  private readonly leaving = new Map<LiveSession, () => void>();
  private readonly inFlight = new Map<LiveSession, Promise<void>>();
  /** Writes that begin when the one in flight has ended. */
  private readonly following = new Map<LiveSession, Promise<void>>();
  /** Sessions that are written at the end of this turn. */
  private readonly due = new Map<LiveSession, Promise<unknown>>();
  private readonly timers: readonly NodeJS.Timeout[];
  private readonly renewMs: number;
  private readonly recent: RecentSessions;
  private pausedUntil = -Infinity;
  private isStopping = false;

  constructor(
    private readonly dependencies: SessionWritesDependencies,
    { ttlMs }: { readonly ttlMs: number },
  ) {
    this.recent = new RecentSessions(dependencies.store);
    this.renewMs = Math.min(renewMaxMs, ttlMs / 3);
    const save = () => {
      if (this.dirty.size > 0 && performance.now() >= this.pausedUntil) void this.save();
    };
    const renewCheckMs = Math.max(saveMs, Math.min(this.renewMs / 2, 5000));
    this.timers = [setInterval(save, saveMs), setInterval(() => this.renew(), renewCheckMs)];
    for (const timer of this.timers) timer.unref();
  }

  changed(live: LiveSession): void {
    this.dirty.add(live);
  }

  /** Whether the store does not have the session as it is, or has not answered yet. */
  isUnwritten(live: LiveSession): boolean {
    return live.changed || this.inFlight.has(live);
  }

  /** The store is reachable again: what could not be written is written without a pause. */
  goOn(): void {
    this.pausedUntil = -Infinity;
  }

  /** The connection has left. Resolves when its session is released, or given up. */
  left(live: LiveSession): Promise<void> {
    if (!this.mayWrite(live) || (live.isReleased && !live.changed)) {
      this.dirty.delete(live);
      return Promise.resolve();
    }
    const released = new Promise<void>((resolve) => this.leaving.set(live, resolve));
    this.dirty.add(live);
    if (this.leaving.size > leftMax) {
      const [oldest] = this.leaving.keys();
      this.done(oldest!);
      this.dirty.delete(oldest!);
    }
    void this.write(live);
    return released;
  }

  /** Writes a session now. Resolves when it is written, or has failed: false if the store does not have it as it is. */
  async write(live: LiveSession): Promise<boolean> {
    this.dirty.delete(live);
    await this.put(live);
    return !live.changed || !this.mayWrite(live);
  }

  /**
   * Writes a session at the end of this turn, with everything that changes until then. Resolves when it is written or
   * that has failed, or after a time limit.
   */
  async soon(live: LiveSession): Promise<void> {
    this.dirty.add(live);
    let written = this.due.get(live);
    if (written === undefined) {
      written = new Promise((resolve) => setImmediate(resolve)).then(() => {
        this.due.delete(live);
        return this.write(live);
      });
      this.due.set(live, written);
    }
    await withTimeout(written, soonLimitMs).catch(() => {});
  }

  /** The session as it would be written now if its connection had left. */
  stateOf(live: LiveSession): StoredSession {
    return this.stored(live, true);
  }

  /**
   * Writes and releases the sessions of all connections, which are about to close and may still change. Resolves
   * when they are written.
   */
  releaseAll(): Promise<void> {
    this.isStopping = true;
    for (const live of this.dependencies.live()) this.dirty.add(live);
    return this.save();
  }

  /**
   * Writes sessions again whose connections left a short time ago, if the store has an earlier state of them: it may have
   * lost its last writes. Never rejects.
   */
  restoreLeft(): Promise<void> {
    return this.recent.restore();
  }

  /** As {@link restoreLeft}, for a session that another connection asks for. Never rejects. */
  yieldLeft(id: string): Promise<HolderAnswer> {
    return this.recent.yield(id);
  }

  /** Writes all changed sessions. Never rejects. */
  async save(): Promise<void> {
    const changed = [...this.dirty];
    this.dirty.clear();
    for (let i = 0; i < changed.length; i += writesMax)
      await Promise.all(changed.slice(i, i + writesMax).map((live) => this.put(live)));
  }

  async close(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    const written = this.save().then(() =>
      Promise.all([...this.inFlight.values(), ...this.following.values()]),
    );
    await withTimeout(written, closeLimitMs).catch(() => {
      this.dependencies.log.warn('Sessions not written before the stop', { sessions: this.inFlight.size });
    });
  }

  private renew(): void {
    this.recent.removeOld();
    const before = performance.now() - this.renewMs;
    for (const live of this.dependencies.live()) if (live.savedAt <= before) this.dirty.add(live);
  }

  private mayWrite(live: LiveSession): boolean {
    return !live.isPending && live.answersSinceLost === undefined;
  }

  /**
   * One write of a session at a time. A second one could overtake it on its way to another node of a cluster; and after one
   * that releases the session, it would come with a lease that is not the stored one any more.
   */
  private put(live: LiveSession): Promise<void> {
    const inFlight = this.inFlight.get(live);
    if (inFlight === undefined) return this.begin(live);
    let following = this.following.get(live);
    if (following === undefined) {
      following = inFlight.then(() => {
        this.following.delete(live);
        return this.begin(live);
      });
      this.following.set(live, following);
    }
    return following;
  }

  private begin(live: LiveSession): Promise<void> {
    if (!this.mayWrite(live)) {
      // Another connection has claimed it: nothing is left to release.
      this.done(live);
      return Promise.resolve();
    }
    const write = this.send(live).then(() => void this.inFlight.delete(live));
    this.inFlight.set(live, write);
    return write;
  }

  /** Never rejects. */
  private async send(live: LiveSession): Promise<void> {
    const { store, log } = this.dependencies;
    const { isLeft, id, hasOtherTopics } = live;
    const isReleased = isLeft || this.isStopping;
    const by = live.isReleased ? { ...live.lease, owner: null } : live.lease;
    live.savedAt = performance.now();
    live.changed = false;
    live.hasOtherTopics = false;
    try {
      const session = this.stored(live, isReleased);
      if (await store.save(session, by)) {
        live.isReleased = isReleased;
        live.isStored = true;
        if (isLeft) this.recent.add(session, live.lease);
        if (isLeft) this.done(live);
        return;
      }
      // The write after the one that has released the session is refused, too.
      if (!live.isLeft) log.info('Session held by another connection', { connection_id: live.connection.id });
      live.answersSinceLost ??= 0;
      this.done(live);
    } catch (error) {
      log.debug('Session not saved', { connection_id: live.connection.id, error });
      live.changed = true;
      if (hasOtherTopics && error instanceof NoRoomError) {
        // If this replica ends, the client must not be told that it has got everything back.
        await store.forget(id, by).catch(() => (live.hasOtherTopics = true));
      } else live.hasOtherTopics ||= hasOtherTopics;
      this.pausedUntil = performance.now() + failedPauseMs;
      if (!live.isLeft || this.leaving.has(live)) this.dirty.add(live);
    }
  }

  private done(live: LiveSession): void {
    this.leaving.get(live)?.();
    this.leaving.delete(live);
  }

  private stored(live: LiveSession, isReleased: boolean): StoredSession {
    const { connection, id, lease, createdAt } = live;
    // It may be written long after its connection has left.
    const inbox = live.isLeft ? live.inboxAtEnd : this.dependencies.inboxOf(connection);
    const topics: Record<string, Position> = {};
    let reached: Record<string, Position> | undefined;
    for (const [topic, position] of live.topics(live.handedAtEnd ?? this.dependencies.handedTo(connection))) {
      topics[topic] = { epoch: position.epoch, sequence: position.sequence };
      if (position.reached !== undefined) (reached ??= {})[topic] = position.reached;
    }
    return {
      id,
      user_id: connection.identity.userId,
      topics,
      ...(reached && { reached }),
      created_at: createdAt,
      updated_at: this.dependencies.now(),
      ...(inbox && { inbox: { epoch: inbox.epoch, sequence: inbox.sequence } }),
      generation: lease.generation,
      owner: isReleased ? null : lease.owner,
    };
  }
}
