import { RefusalError } from '../../shared/errors.js';
import { HookTimeoutError } from './hook-timeout.js';

/** A message that is about to be stored. */
export interface PublishEvent {
  readonly id: string;
  readonly topic: string;
  /** The payload from the client; binary parts are `Buffer`s. Parsed on first access. */
  readonly payload: unknown;
  /** User id; null for the service. */
  readonly sender: string | null;
}

/** A client that asks to connect. It has no connection id yet. */
export interface ConnectEvent {
  readonly userId: string;
  readonly roles: readonly string[];
  readonly address: string;
  readonly wire: 'socketio' | 'json';
  /** The namespace of the program that it joins; undefined for the main one. */
  readonly namespace?: string;
}

/** A closed connection. */
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
 * Hooks of an embedding program. Each may take `actor_system.hook_timeout_ms`. To refuse a request, throw a
 * `RefusalError`: it is sent to the client. Any other error, and a timeout, is a failure: the client gets
 * `internal`, and a hook that fails repeatedly is stopped until an operator restarts it. Each topic has its
 * own actor, so a hook that fails for one topic does not affect the others.
 */
export interface Hooks {
  /**
   * Before a message is stored. May return another payload. Messages keep their order, however long a hook
   * takes; hooks of messages that wait together run at the same time.
   */
  onPublish?(
    event: PublishEvent,
  ): void | { readonly payload: unknown } | Promise<void | { readonly payload: unknown }>;
  /** Before a connection is subscribed to a topic, also by its session or token. */
  onSubscribe?(event: SubscribeEvent): void | Promise<void>;
  /** After a client has authenticated, before it is connected. */
  onConnect?(event: ConnectEvent): void | Promise<void>;
  /** After a connection has closed. An error has no effect on the client. */
  onDisconnect?(event: DisconnectEvent): void | Promise<void>;
}

/** The name of a hook. */
export type HookName = keyof Hooks;

/** The refusal sent to a client after a failure of a hook. It does not contain the cause, but that a worker took too long. */
export function hookFailed(name: HookName, error: unknown): RefusalError {
  if (error instanceof HookTimeoutError) return new RefusalError('timeout', error.message);
  return new RefusalError('internal', `the hook ${name} has failed`);
}
