/** The client library: `realtime-communication/client`. */
export { Client, createClient, type AnyClient, type ClientEvents, type Status } from './client.js';
export { ClientError, type ClientErrorCode } from './client-error.js';
export { Backoff, type ReconnectOptions } from './backoff.js';
export { sizeOf } from './message-size.js';
export type { Clock, Timer } from './clock.js';
export type { ConnectionFactory, ConnectionState, TokenReason, TokenSource } from './connection.js';
export type { DirectMessage } from './direct-messages.js';
export type { ClientOptions } from './options.js';
export type { OutgoingItem, OutgoingStore } from './outgoing.js';
export type { StateStore } from './state-store.js';
export type {
  Batch,
  PresenceEvent,
  Snapshot,
  SubscribeOptions,
  Subscription,
  SubscriptionEvents,
  TopicMessage,
} from './subscription.js';
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
