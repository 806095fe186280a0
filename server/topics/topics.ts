import type { Position } from '../../shared/position.js';
import type { Connection } from '../protocol/connection.js';
import type { Durability, LogEntry } from '../log/broker.js';

/** A message on its way into a topic; the payload has been read and checked (see `commands/payload.ts`). */
export interface PublishRequest {
  readonly topic: string;
  /** JSON text of the payload, with Socket.IO placeholders where `attachments` belong. */
  readonly payloadJson: string;
  readonly attachments: readonly Buffer[];
  /** User id; null for the service. */
  readonly sender: string | null;
  /** Idempotency key as the client gave it. */
  readonly key?: string;
  /** Replica to which delivery confirmations are reported. */
  readonly confirmTo?: string;
  /** Given when the caller needs the id beforehand; otherwise made here. */
  readonly id?: string;
  /** The message is being traced; `routed` is called when it is given to the log. */
  readonly trace?: { readonly routed: () => void };
}

/** A message that is in the log. */
export interface PublishReceipt extends Position {
  readonly id: string;
  readonly durability: Durability;
  readonly duplicate: boolean;
  /** Replicas that carried the topic at that moment, if the broker knows. */
  readonly receivers?: number;
}

/** Where a subscription starts. `recovered` says whether everything after `since` follows without a gap. */
export interface Subscribed extends Position {
  readonly topic: string;
  readonly recovered: boolean;
  /** Messages after `since`: on their way if `recovered`, lost to this subscriber if not. */
  readonly missed: number;
}

/** Consecutive entries of a followed log, in order, each once. */
export type FeedSink = (epoch: string, entries: readonly LogEntry[]) => void;

/** A followed log that is not a topic of subscribers (a user's inbox). */
export interface Feed {
  /** Position up to which the sink was given everything. */
  readonly position: Position;
  close(): void;
}

/** An answer of `history`: entries as they are in the log. */
export interface History extends Position {
  readonly entries: readonly LogEntry[];
  /** Ends of the earlier epochs of this log, newest first. */
  readonly previous: readonly Position[];
  /** Sequence of the oldest message still stored; `sequence + 1` when none is. */
  readonly firstSequence: number;
  /** False when `since` is not a place in this log any more: the entries then are the oldest stored. */
  readonly continuous: boolean;
}

/**
 * The topics of this replica: the only way to publish, subscribe and read. Refusals are `RefusalError`s: `busy`, `unavailable`,
 * `outcome_unknown`.
 */
export interface Topics {
  publish(request: PublishRequest): Promise<PublishReceipt>;
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
