import type { RefusalError } from '../../shared/errors.js';
import type { Identity } from './identity.js';

/** `socketio`: events of the Socket.IO protocol. `json`: text frames of `/ws`. */
export type Wire = 'socketio' | 'json';

/** Events the service sends, by their Socket.IO name. */
export type ServerEvent =
  'message' | 'direct' | 'presence' | 'status' | 'system_notification' | 'gap' | 'token_expiring' | 'error';

/** A client, on any transport. */
export interface Connection {
  /** The Socket.IO socket id; `connection_id` on the wire and in the log. */
  readonly id: string;
  readonly wire: Wire;
  /** Replaced when its session goes on under another id. */
  sessionId: string;
  /** Replaced when the client refreshes its token. */
  identity: Identity;
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly connectedAt: number;
  /** The client has left, or was disconnected: nothing more that it has sent is run. */
  readonly isClosed?: boolean;
  /** The service, an operator or the program has disconnected the client: it has not left by itself. */
  readonly isDismissed?: boolean;
  /** It is being moved to another replica: its commands are refused, those under way are answered. */
  readonly isMoving?: true;
  /** Too many of its commands wait for each other: no further ones are read for a while. */
  pauseReading?(isPaused: boolean): void;
  /** Sends an event, after all events that were sent before. */
  emit(event: ServerEvent, data: unknown): void;
  /** Sends the reason to the client, as an `error` event, then closes the transport. */
  disconnect(reason: RefusalError): void;
}

/** What has a token that can expire or be revoked: a connection, or a socket of another namespace. */
export type TokenHolder = Pick<Connection, 'identity' | 'emit' | 'disconnect'>;

/** Whom messages of a connection come from: its user; null for the program that embeds the service. */
export function senderOf({ identity: { userId } }: Pick<Connection, 'identity'>): string | null {
  // No token has an empty user id.
  return userId === '' ? null : userId;
}
