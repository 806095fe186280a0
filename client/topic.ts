import type { ClientConnection } from './connection.js';
import type { Position } from '../shared/position.js';
import type { SubscribeOptions, TopicMessage } from './subscription-events.js';
import type { Subscription } from './subscription.js';
import type { Topics } from './topics.js';

export interface PublishOptions {
  /** The service stores a message once for each key. The library makes one if there is none. */
  readonly key?: string | undefined;
  /** `delivered`: the answer also says how many subscribers have acknowledged the message. */
  readonly confirm?: 'stored' | 'delivered' | undefined;
  /** How long to wait for them, in milliseconds. */
  readonly timeoutMs?: number | undefined;
  readonly trace?: true | undefined;
}

export interface PublishReceipt extends Position {
  readonly id: string;
  readonly topic: string;
  readonly durability: 'memory' | 'stored' | 'replicated' | 'fsynced';
  readonly duplicate?: true;
  readonly delivered?: number;
  readonly expected?: number;
  readonly traced?: true;
}

export interface DirectOptions {
  readonly key?: string | undefined;
  readonly confirm?: 'stored' | 'delivered' | undefined;
  readonly timeout_ms?: number | undefined;
  readonly trace?: true | undefined;
}

export interface DirectReceipt {
  readonly id: string;
  readonly sequence: number;
  readonly delivered: number;
  readonly queued: boolean;
  readonly recipients: number;
  readonly duplicate?: true;
}

export interface HistoryOptions {
  readonly since?: Position | undefined;
  readonly before?: Position | undefined;
  readonly limit?: number | undefined;
}

export interface History<Payload> extends Position {
  readonly messages: readonly TopicMessage<Payload>[];
  readonly complete: boolean;
  readonly truncated?: true;
  /** Options of the next page. */
  readonly next?: { readonly since: Position } | { readonly before: Position };
}

export interface Presence {
  readonly users: readonly { readonly user_id: string; readonly connections: number }[];
  readonly count: number;
  readonly partial?: true;
  readonly truncated?: true;
  readonly next?: { readonly cursor: string };
}

/** One topic of a client. */
export class Topic<Payload, Published = Payload> {
  /** @internal */
  constructor(
    readonly name: string,
    private readonly topics: Pick<Topics, 'subscribe'>,
    private readonly wire: Pick<ClientConnection, 'request'>,
    private readonly send: (body: object) => Promise<unknown>,
  ) {}

  /** Subscribes, on this connection and all later ones. Messages wait for a listener or an iterator. */
  subscribe<State = unknown>(options: SubscribeOptions<State> = {}): Subscription<Payload, State> {
    return this.topics.subscribe(this.name, options as SubscribeOptions) as Subscription<Payload, State>;
  }

  /**
   * Publishes. Without a connection the message waits; after a reconnection it is sent again with its key, so that it is
   * stored once. Rejects with a ClientError.
   */
  publish(payload: Published, { timeoutMs, ...options }: PublishOptions = {}): Promise<PublishReceipt> {
    const body = { topic: this.name, payload, ...options, timeout_ms: timeoutMs };
    return this.send(body) as Promise<PublishReceipt>;
  }

  /** A page of stored messages. */
  history(options: HistoryOptions = {}): Promise<History<Payload>> {
    return this.wire.request('history', { topic: this.name, ...options }) as Promise<History<Payload>>;
  }

  /** Who is subscribed: a page of users. */
  presence(options: { readonly limit?: number; readonly cursor?: string } = {}): Promise<Presence> {
    return this.wire.request('presence', { topic: this.name, ...options }) as Promise<Presence>;
  }
}
