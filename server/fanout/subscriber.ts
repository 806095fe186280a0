import type { Connection } from '../protocol/connection.js';
import type { Outbox } from './outbox.js';

/** Acknowledgements awaited from one connection at most; past this number the oldest is no longer awaited. */
export const awaitedAcksMax = 1000;

/** A connection as the fan-out uses it. */
export interface Subscriber extends Connection {
  readonly outbox: Outbox;
  /**
   * Awaits the client's acknowledgement of a delivered message: on Socket.IO of the packet with this id, on
   * `/ws` of the message.
   */
  expectAck(ackId: number, messageId: string, onAck: () => void): void;
}

/** The subscribers of topics: Socket.IO's rooms and the connections in them. */
export interface Audience {
  /** Connection ids in the topic's room; undefined if the room is empty. */
  members(topic: string): ReadonlySet<string> | undefined;
  /** The topics whose rooms a connection is in. */
  topicsOf(id: string): Iterable<string>;
  connection(id: string): Subscriber | undefined;
  join(id: string, topic: string): void;
  leave(id: string, topic: string): void;
}
