import type { Position } from '../../shared/position.js';
import type { Connection } from '../protocol/connection.js';
import { PositionList } from './position-list.js';
import type { HeldLease } from './session-lease.js';
import { unknownPosition, type ProvedPosition } from '../topics/start-position.js';

/**
 * A subscription that must still be restored. Undefined `since`: it starts at the topic's current position.
 */
export interface AwaitedTopic {
  readonly since: ProvedPosition | undefined;
}

/**
 * A session while its client is connected: its topics, each with the position up to which the client has
 * confirmed the receipt.
 *
 * Messages passed to the transport are not confirmed, because the connection may be broken already. A
 * position moves only when the client names it, or answers a heartbeat that was sent after the messages.
 */
export class LiveSession {
  /** When it was last written, on the monotonic clock, in milliseconds; -Infinity if it should be written soon. */
  savedAt = -Infinity;
  /** Whether the session differs from the stored one. */
  changed = true;
  /** Whether the stored session has other topics. */
  hasOtherTopics = false;
  /** Whether the store has a state of it, which would be resumed if this replica ended. */
  isStored = false;
  /** The connection has left. The next write releases the session. */
  isLeft = false;
  /** The positions passed to the transport when the connection left. */
  handedAtEnd: ReadonlyMap<string, Position> | undefined;
  /** The position of the user's inbox when the connection left. */
  inboxAtEnd: Position | undefined;
  /** It was last written as one that nobody holds. It may be written again, unless it has been claimed since. */
  isReleased = false;
  /**
   * Undefined as long as the connection holds its session. Otherwise it has yielded, or another connection
   * has claimed the session: nothing is written any more. The number of heartbeats that its client has
   * answered since.
   */
  answersSinceLost: number | undefined;
  /** The session is not claimed yet, because the store does not answer: it must not be written. */
  isPending = false;
  /**
   * Its client has changed its topics while the session was pending. It goes on under an id of its own: under the former
   * one, a connection that comes after this one would get what was there before. Under this one it gets nothing until the
   * topics of the session are known, and knows it.
   */
  isForked = false;
  /** When its client last confirmed something by a heartbeat, in milliseconds since 1970. */
  confirmedAt: number | undefined;
  private readonly proved = new PositionList();
  /** Topics that the client has unsubscribed while the session was pending. */
  private droppedEarly: Set<string> | undefined;
  /**
   * Topics not subscribed yet; undefined if there are none, as nearly always. They stay in the session
   * meanwhile.
   */
  private waiting: Map<string, ProvedPosition | undefined> | undefined;
  /** Topics that the client is being subscribed to. They are stored before it knows of that: the replica may end then. */
  private prepared: Map<string, ProvedPosition> | undefined;
  /**
   * Positions passed to the transport when the last heartbeat was answered. The answer to the next one
   * confirms them.
   */
  private noted: Map<string, Position> | undefined;

  constructor(
    public connection: Connection,
    /** The session that is written, and the lease under which that is allowed. */
    public id: string,
    public lease: HeldLease,
    public createdAt: number,
    topics: ReadonlyMap<string, ProvedPosition | undefined>,
  ) {
    if (topics.size > 0) this.waiting = new Map(topics);
  }

  /**
   * Topics as stored, each with the position to continue from.
   *
   * @param handed the positions passed to the transport
   */
  *topics(handed: ReadonlyMap<string, Position>): Iterable<[topic: string, position: ProvedPosition]> {
    for (const [topic, since] of this.waiting ?? []) if (since !== undefined) yield [topic, since];
    for (const [topic, since] of this.prepared ?? []) if (!this.isKept(topic)) yield [topic, since];
    for (const [topic, position] of this.proved.entries())
      yield [topic, { ...position, ...reachedOf(position, handed.get(topic)) }];
  }

  /** The positions that the client has confirmed. */
  get confirmed(): Pick<PositionList, 'get'> {
    return this.proved;
  }

  awaited(topic: string): AwaitedTopic | undefined {
    return this.waiting?.has(topic) === true ? { since: this.waiting.get(topic) } : undefined;
  }

  /** Whether the topic belongs to the session, subscribed or not yet. */
  holds(topic: string): boolean {
    return this.waiting?.has(topic) === true || this.proved.has(topic);
  }

  /**
   * Adds a topic that the client is about to be subscribed to, from `since`. Until it is, nobody knows what a session
   * without a `since` would have missed. False if the store need not be written before.
   */
  prepare(topic: string, since: ProvedPosition | undefined): boolean {
    if (this.proved.has(topic)) return false;
    // One that is restored: a session that is not stored cannot be resumed without it.
    if (this.waiting?.has(topic) === true && !this.isStored) return false;
    if (this.isKept(topic)) return this.hasOtherTopics;
    (this.prepared ??= new Map()).set(topic, since ?? unknownPosition);
    this.topicsChanged();
    return true;
  }

  /** The client has not been subscribed to the topic. True if it was prepared. */
  unprepare(topic: string): boolean {
    if (this.prepared?.delete(topic) !== true) return false;
    if (this.prepared.size === 0) this.prepared = undefined;
    this.topicsChanged();
    return true;
  }

  /**
   * Called when the connection is subscribed: from `since` if the client, or the session, named a position,
   * or else from `at`. The session continues at `since` also if it could not be recovered: until the client
   * has confirmed the gap, the gap must be announced again.
   */
  subscribed(topic: string, since: ProvedPosition | undefined, at: Position): void {
    if (!this.isKept(topic) && this.prepared?.has(topic) !== true) this.topicsChanged();
    this.forget(topic);
    this.prepared?.delete(topic);
    this.droppedEarly?.delete(topic);
    if (since !== undefined) this.proved.set(topic, since);
    else if (!this.proved.has(topic)) this.proved.set(topic, at);
    this.noted?.delete(topic);
    this.changed = true;
  }

  /** Topics not subscribed yet. */
  get awaitedTopics(): Iterable<string> {
    return this.waiting?.keys() ?? [];
  }

  /** Adds a topic to be subscribed, unless the session has it. */
  await(topic: string): void {
    if (this.holds(topic)) return;
    (this.waiting ??= new Map()).set(topic, undefined);
    this.topicsChanged();
  }

  /** The session has been claimed: these topics of it must be subscribed, unless the connection has them already. */
  resumed(lease: HeldLease, topics: ReadonlyMap<string, ProvedPosition | undefined>): void {
    this.lease = lease;
    this.isPending = false;
    this.isForked = false;
    this.isStored = true;
    this.topicsChanged();
    for (const [topic, since] of topics)
      if (!this.proved.has(topic) && !this.waiting?.has(topic) && !this.droppedEarly?.has(topic))
        (this.waiting ??= new Map()).set(topic, since);
    this.droppedEarly = undefined;
  }

  /** Removes a topic, subscribed or awaited. True if it was awaited. */
  drop(topic: string): boolean {
    if (this.isPending) (this.droppedEarly ??= new Set()).add(topic);
    if (this.proved.delete(topic)) this.topicsChanged();
    this.unprepare(topic);
    this.noted?.delete(topic);
    if (!this.forget(topic)) return false;
    this.topicsChanged();
    return true;
  }

  /**
   * The connection has left: nobody was told that it is subscribed to what was only prepared.
   *
   * @param handed the positions passed to the transport
   * @param inbox the position of the user's inbox
   */
  left(handed: ReadonlyMap<string, Position>, inbox?: Position): void {
    this.isLeft = true;
    this.connection = traceOf(this.connection);
    this.handedAtEnd = handed;
    this.inboxAtEnd = inbox;
    for (const topic of this.prepared?.keys() ?? []) this.unprepare(topic);
  }

  /** Whether the topic is stored, apart from those that are only prepared. */
  private isKept(topic: string): boolean {
    return this.proved.has(topic) || this.waiting?.get(topic) !== undefined;
  }

  private topicsChanged(): void {
    this.changed = true;
    this.hasOtherTopics = true;
  }

  /** Drops a topic that should no longer be subscribed. True if it was awaited. */
  private forget(topic: string): boolean {
    if (this.waiting?.delete(topic) !== true) return false;
    if (this.waiting.size === 0) this.waiting = undefined;
    this.changed = true;
    return true;
  }

  /**
   * The client answered a heartbeat that was sent after the previous call, which confirms everything passed
   * to its transport by then. `handed` holds the positions passed by now.
   */
  heartbeat(handed: Map<string, Position>, at?: number): void {
    if (this.noted !== undefined) {
      const { hasMoved, hasNewEpoch } = this.proved.advance(this.noted);
      if (hasMoved) {
        this.changed = true;
        this.confirmedAt = at;
      }
      // The stored position may be in a log that is lost. If the replica dies now, the client would be notified of
      // that loss again.
      if (hasNewEpoch) this.savedAt = -Infinity;
    }
    this.noted = this.proved.isSame(handed) ? undefined : handed;
  }
}

/** What is kept of a connection that has left: while the store is away, the sessions of many may have to be written. */
function traceOf({ id, wire, sessionId, identity, address, connectedAt }: Connection): Connection {
  const nothing = () => {};
  return {
    ...{ id, wire, sessionId, identity, address, connectedAt },
    ...{ isClosed: true, emit: nothing, disconnect: nothing },
  };
}

/**
 * Up to where a client may have received messages. What an earlier connection had reached counts until the client has
 * confirmed something on this one.
 */
function reachedOf(
  { epoch, sequence, reached }: ProvedPosition,
  handed: Position | undefined,
): { readonly reached?: Position } {
  if (reached !== undefined)
    return {
      reached: handed?.epoch === reached.epoch && handed.sequence > reached.sequence ? handed : reached,
    };
  if (handed === undefined || (handed.epoch === epoch && handed.sequence === sequence)) return {};
  return { reached: { epoch: handed.epoch, sequence: handed.sequence } };
}
