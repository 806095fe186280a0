import type { Message } from '../shared/message.js';
import type { Position } from '../shared/position.js';
import type { ClientError } from './client-error.js';
import type { Gap } from './topic-stream.js';

/** A message with a typed payload. `replayed`: it was missed, and comes from the history. */
export type TopicMessage<Payload = unknown> = Omit<Message, 'payload'> & {
  readonly payload: Payload;
  readonly replayed?: true;
};

/** Messages that are handed over together: what was missed, or a single live message. */
export interface Batch<Payload = unknown> {
  readonly messages: readonly TopicMessage<Payload>[];
  readonly replayed: boolean;
}

/** A user came to the topic, or left it. */
export interface PresenceEvent {
  readonly topic: string;
  readonly event: 'join' | 'leave';
  readonly user_id: string;
  readonly connections: number;
}

/** What an app has stored of a topic, and up to where. */
export interface Snapshot<State> {
  readonly state: State;
  /** The last message that `state` contains. Without it, messages since the subscription began follow: some may be in `state`. */
  readonly position?: Position | undefined;
}

export interface SubscribeOptions<State = unknown> {
  /** Begin after this position. */
  readonly since?: Position | undefined;
  /** Begin with so many of the newest messages. */
  readonly last?: number | undefined;
  /** Also receive `presence` events. */
  readonly presence?: boolean | undefined;
  /** Tells apart subscriptions of one topic in the saved state. */
  readonly id?: string | undefined;
  /** Begin with a snapshot of the app's own; asked again after a gap. */
  readonly getState?: (() => Promise<Snapshot<State>>) | undefined;
}

export interface SubscriptionEvents<Payload, State = unknown> {
  /** Each message once, in order. The next one waits for a promise that the listener returns. */
  message: TopicMessage<Payload>;
  /** The same messages, those that were missed as one batch. */
  batch: Batch<Payload>;
  /** Messages are lost. */
  gap: Gap;
  /** The snapshot of `getState`; the messages after it follow. */
  state: State;
  presence: PresenceEvent;
  /** The service has subscribed the topic, with each connection. */
  subscribed: Position;
  /** The service has refused the topic, or ended the subscription. */
  ended: ClientError;
}
