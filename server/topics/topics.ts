import type { AppendReceipt } from '../log/broker.js';
import type { Feed, FeedSink } from '../log/feed.js';
import type { History } from '../log/history.js';
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

/**
 * The topics of this replica: the only way to publish, subscribe and read. Refusals are `RefusalError`s: `busy`, `unavailable`,
 * `outcome_unknown`.
 */
export interface Topics {
  publish(request: PublishRequest): Promise<AppendReceipt>;
  /** Subscribes a connection. With `since`, what it missed is sent to it first, once the current turn is over. */
  subscribe(connection: Connection, topic: string, since?: Position): Promise<Subscribed>;
  /** True if the connection was subscribed. */
  unsubscribe(connection: Connection, topic: string): boolean;
  /** Topics of a connection, with the position up to which messages were handed to its transport. */
  positions(connection: Connection): Map<string, Position>;
  /** Connections of this replica subscribed to a topic. */
  subscribers(topic: string): Iterable<Connection>;
  /** After `since` oldest first, else the newest `limit` messages; always in log order. */
  history(topic: string, options: { readonly since?: Position; readonly limit: number }): Promise<History>;
  /** Follows a log from `after` (a sequence; undefined: from its end) in order and without holes. */
  follow(topic: string, sink: FeedSink, after?: number): Promise<Feed>;
}
