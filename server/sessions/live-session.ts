import type { Position } from '../../shared/position.js';
import type { Connection } from '../protocol/connection.js';
import { PositionList } from './position-list.js';

/**
 * A subscription that is still to be taken up again; undefined `since`: it begins where the topic is by then.
 */
export interface AwaitedTopic {
  readonly since: Position | undefined;
}

/**
 * A session while its client is connected: its topics, and up to where the client has proved to have received
 * each of them.
 *
 * What was handed to the transport proves nothing: the connection may be dead already. Only these move a
 * position: the client named it, or the client answered a heartbeat that was sent after the messages.
 */
export class LiveSession {
  /** When it was last written, in milliseconds since 1970. */
  savedAt = 0;
  /** Something differs from what was last written. */
  changed = true;
  private readonly proved = new PositionList();
  /**
   * Topics not subscribed yet; undefined when there are none, as nearly always. They stay in the session
   * meanwhile.
   */
  private waiting: Map<string, Position | undefined> | undefined;
  /**
   * What was handed to the transport when the last heartbeat was answered: the answer to the next one proves
   * it.
   */
  private noted: Map<string, Position> | undefined;

  constructor(
    readonly connection: Connection,
    readonly createdAt: number,
    topics: ReadonlyMap<string, Position | undefined>,
  ) {
    if (topics.size > 0) this.waiting = new Map(topics);
  }

  /** Topics as they are to be stored, each with the position from which it goes on. */
  *topics(): Iterable<[topic: string, position: Position]> {
    for (const [topic, since] of this.waiting ?? []) if (since !== undefined) yield [topic, since];
    yield* this.proved.entries();
  }

  awaited(topic: string): AwaitedTopic | undefined {
    return this.waiting?.has(topic) === true ? { since: this.waiting.get(topic) } : undefined;
  }

  /** Whether the topic belongs to the session, subscribed or not yet. */
  holds(topic: string): boolean {
    return this.waiting?.has(topic) === true || this.proved.has(topic);
  }

  /**
   * The connection is subscribed: from `since` if the client, or the session, named a position, else from
   * `at`. The session goes on at `since` also where it could not be recovered: until the client is known to
   * have heard of that, it has to be told again.
   */
  subscribed(topic: string, since: Position | undefined, at: Position): void {
    this.forget(topic);
    if (since !== undefined) this.proved.set(topic, since);
    else if (!this.proved.has(topic)) this.proved.set(topic, at);
    this.noted?.delete(topic);
    this.changed = true;
  }

  /** The topic is not to be subscribed any more. True if it was awaited. */
  forget(topic: string): boolean {
    if (this.waiting?.delete(topic) !== true) return false;
    if (this.waiting.size === 0) this.waiting = undefined;
    this.changed = true;
    return true;
  }

  /** The connection's subscriptions are these, at these positions. */
  follow(current: ReadonlyMap<string, Position>): void {
    this.proved.follow(current);
    for (const topic of this.noted?.keys() ?? []) if (!current.has(topic)) this.noted!.delete(topic);
    this.changed = true;
  }

  /**
   * The client answered a heartbeat that was sent after the previous call: it has what had been handed to its
   * transport by then. `handed` is what has been handed by now.
   */
  heartbeat(handed: Map<string, Position>): void {
    if (this.noted !== undefined && this.proved.advance(this.noted)) this.changed = true;
    this.noted = this.proved.isSame(handed) ? undefined : handed;
  }
}
