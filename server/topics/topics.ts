import type { AppendReceipt } from '../log/broker.js';
import type { Feed, FeedSink, GapSink } from '../log/feed.js';
import type { History, HistoryRequest } from '../log/history.js';
import type { Lineage } from '../log/lineage.js';
import type { Missed, MissedRequest } from '../log/missed.js';
import type { PublishRequest } from '../log/publish-request.js';
import type { Position } from '../../shared/position.js';
import type { Connection } from '../protocol/connection.js';

/** Where a subscription starts. Without a `since` there is nothing to recover, so `recovered` and `missed` are left out. */
export interface Subscribed extends Position {
  readonly topic: string;
  /** Whether everything after `since` follows without a gap. */
  readonly recovered?: boolean;
  /** Messages after `since`: on their way if `recovered`, lost to this subscriber if not. */
  readonly missed?: number;
}

/** A topic that is watched. */
export interface Watch {
  /** The end of the log when the watch began. */
  readonly position: Lineage;
  close(): void;
}

/**
 * The topics of this replica: the only interface to publish, subscribe and read. Refusals are
 * `RefusalError`s: `busy`, `unavailable`, `outcome_unknown`.
 */
export interface Topics {
  publish(request: PublishRequest): Promise<AppendReceipt>;
  /**
   * Subscribes a connection. With `since`, the missed messages are sent to it first, after the current turn.
   * Only the {@link import('./subscription-gate.js').SubscriptionGate} calls this: it makes the checks.
   *
   * @param confirm called in the turn in which the connection joins, right before that; may throw to prevent it. False:
   * if the connection is subscribed by now, it goes on as it is, and not from `since`.
   */
  subscribe(
    connection: Connection,
    topic: string,
    since: Position | undefined,
    confirm: () => boolean,
  ): Promise<Subscribed>;
  /** Returns true if the connection was subscribed. */
  unsubscribe(connection: Connection, topic: string): boolean;
  /** The topics that a connection is subscribed to. */
  topicsOf(connection: Connection): Iterable<string>;
  /** Topics of a connection, each with the position up to which messages were passed to its transport. */
  positions(connection: Connection): Map<string, Position>;
  subscribers(topic: string): Iterable<Connection>;
  /** A page of a log: messages after `since`, or else the newest ones; always in log order. */
  history(topic: string, request: HistoryRequest): Promise<History>;
  /** A page of the messages of several topics that came after a given one. */
  missed(topics: readonly string[], request: MissedRequest): Promise<Missed>;
  /** Keeps a topic active on this replica, and calls `moved` whenever its log may have new messages, or be another one. */
  watch(topic: string, moved: () => void): Promise<Watch>;
  /**
   * Follows a log, from its end, in order and without holes. `onGap` is called when the log was lost or rolled back: the feed
   * continues after another position.
   */
  follow(topic: string, sink: FeedSink, onGap: GapSink): Promise<Feed>;
}
