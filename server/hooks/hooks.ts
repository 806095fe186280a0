import { RefusalError } from '../../shared/errors.js';

/** A message that is about to be stored. */
export interface PublishEvent {
  readonly id: string;
  readonly topic: string;
  /** As the client sent it; binary parts are `Buffer`s. Parsed when first looked at. */
  readonly payload: unknown;
  /** User id; null for the service. */
  readonly sender: string | null;
}

/** A client that asks to be let in; its connection has no id yet. */
export interface ConnectEvent {
  readonly userId: string;
  readonly roles: readonly string[];
  readonly address: string;
  readonly wire: 'socketio' | 'json';
}

/** A connection that has ended. */
export interface DisconnectEvent {
  readonly connectionId: string;
  readonly userId: string;
  readonly reason: string;
}

/** A connection that is about to be subscribed. */
export interface SubscribeEvent {
  readonly topic: string;
  readonly connectionId: string;
  readonly userId: string;
}

/**
 * What an embedding program adds. Each hook may take `actor_system.hook_timeout_ms`. To refuse what is asked, throw a `RefusalError`: it is
 * the client's answer. Anything else that is thrown, and being late, is a failure: the client is answered `internal`, and what fails again and
 * again is stopped until an operator restarts it. All topics have their own actor, so a topic whose hook fails does not disturb the others.
 */
export interface Hooks {
  /**
   * Before a message is stored. May return another payload. Messages keep their order, whatever a hook takes; hooks of messages that wait
   * together run at the same time.
   */
  onPublish?(
    event: PublishEvent,
  ): void | { readonly payload: unknown } | Promise<void | { readonly payload: unknown }>;
  /** Before a connection is subscribed to a topic, also by its session or token. */
  onSubscribe?(event: SubscribeEvent): void | Promise<void>;
  /** After a connection has authenticated, before it is let in. */
  onConnect?(event: ConnectEvent): void | Promise<void>;
  /** After a connection has left; refusing means nothing. */
  onDisconnect?(event: DisconnectEvent): void | Promise<void>;
}

/** What a client is told of a failure: that there was one, not which. */
export function hookFailed(name: keyof Hooks): RefusalError {
  return new RefusalError('internal', `the hook ${name} has failed`);
}
