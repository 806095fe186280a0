import type { ClientError } from './client-error.js';
import type { ConnectionState } from './connection-settings.js';
import type { DirectMessage } from './direct-messages.js';
import type { OutgoingItem } from './outgoing.js';
import type { PresenceEvent } from './subscription-events.js';
import type { DirectOptions, DirectReceipt, Topic } from './topic.js';
import type { Gap } from './topic-stream.js';

/** A `status` of the service; of a subscription also one that the library makes from its answer. */
export interface Status {
  readonly status: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Events of a client. `client/guide` has the guide's names for them. */
export interface ClientEvents {
  /** The connection has changed. */
  state: ConnectionState;
  connect: ConnectionState;
  /** The connection is lost: the reason. */
  disconnect: string;
  /** No connection after `reconnect.maxAttempts` attempts. Nothing more is tried until `connect()`. */
  give_up: ClientError;
  /** The token is refused for good. Nothing more is tried until `connect()`. */
  auth_failed: ClientError;
  /** Anything else that goes wrong beside a call. */
  error: ClientError;
  /** Round trip of a ping, in milliseconds. */
  pong: number;
  /** A direct message. It is acknowledged when the listeners have returned. */
  direct: DirectMessage;
  gap: Gap;
  presence: PresenceEvent;
  status: Status;
  system_notification: Readonly<Record<string, unknown>>;
  /** A message of an earlier page: it was sent, and it cannot be learned whether it is stored. */
  unknown: OutgoingItem;
}

/** A client of any topics: what components and adapters take. */
export interface AnyClient {
  readonly state: ConnectionState;
  readonly savedTopics: readonly string[];
  connect(): unknown;
  disconnect(): void;
  on<Name extends keyof ClientEvents>(
    name: Name,
    listener: (event: ClientEvents[Name]) => unknown,
  ): () => void;
  topic(name: string): Topic<unknown>;
  direct(to: string, payload: unknown, options?: DirectOptions): Promise<DirectReceipt>;
  request<Answer = unknown>(command: string, body?: object): Promise<Answer>;
  refresh(): Promise<void>;
}
