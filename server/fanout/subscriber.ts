import type { Connection } from '../protocol/connection.js';
import type { Outbox } from './outbox.js';

/** A connection as the fan-out sees it. */
export interface Subscriber extends Connection {
  readonly outbox: Outbox;
  /**
   * Waits for the client's acknowledgement of a delivered message: on Socket.IO of the packet with this id, on `/ws` of the message.
   */
  expectAck(ackId: number, messageId: string, onAck: () => void): void;
}

/** Who listens: the rooms of Socket.IO and the connections in them. */
export interface Audience {
  /** Connection ids in the topic's room; undefined when nobody is. */
  members(topic: string): ReadonlySet<string> | undefined;
  /** Topics of whose rooms a connection is a member. */
  topicsOf(id: string): Iterable<string>;
  connection(id: string): Subscriber | undefined;
  join(id: string, topic: string): void;
  leave(id: string, topic: string): void;
}
