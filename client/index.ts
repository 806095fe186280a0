/** The client library: `realtime-communication/client`. */
export { Client, createClient } from './client.js';
export type { AnyClient, ClientEvents, Status } from './events.js';
export { ClientError, type ClientErrorCode } from './client-error.js';
export { Backoff, type ReconnectOptions } from './backoff.js';
export { sizeOf } from './message-size.js';
export type { Clock, Timer } from './clock.js';
export type { ConnectionFactory } from './connection.js';
export type { ConnectionState } from './connection-settings.js';
export type { TokenReason, TokenSource } from './token-requests.js';
export type { DirectMessage } from './direct-messages.js';
export type { ClientOptions } from './options.js';
export type { OutgoingItem, OutgoingFactory } from './outgoing.js';
export type { StateFactory } from './client-state.js';
export type {
  Batch,
  PresenceEvent,
  Snapshot,
  SubscribeOptions,
  SubscriptionEvents,
  TopicMessage,
} from './subscription-events.js';
export type { Subscription } from './subscription.js';
export type { Gap } from './topic-stream.js';
export type { PayloadOf, TopicNames } from './topic-types.js';
export type {
  DirectOptions,
  DirectReceipt,
  History,
  HistoryOptions,
  Presence,
  PublishOptions,
  PublishReceipt,
  Topic,
} from './topic.js';
export type { Position } from '../shared/position.js';
