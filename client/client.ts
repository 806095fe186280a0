import type { Message } from '../shared/message.js';
import type { Position } from '../shared/position.js';
import { ClientError, errorFromWire } from './client-error.js';
import { systemClock, type Clock, type Timer } from './clock.js';
import {
  Connection,
  type ClientConnection,
  type ConnectionFactory,
  type ConnectionState,
} from './connection.js';
import { DirectMessages, type DirectMessage } from './direct-messages.js';
import { Emitter } from './emitter.js';
import { checkSize } from './message-size.js';
import { defaults, withDefaults, type ClientOptions } from './options.js';
import { plain } from './plain.js';
import { Outgoing, type OutgoingItem, type OutgoingOptions } from './outgoing.js';
import { SavedState } from './saved-state.js';
import type { PresenceEvent, Snapshot, SubscribeOptions, Subscription } from './subscription.js';
import { Topic, type DirectOptions, type DirectReceipt } from './topic.js';
import type { Gap } from './topic-stream.js';
import type { PayloadOf, TopicNames } from './topic-types.js';
import { Topics, type SubscribeAnswer } from './topics.js';

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

const touchMs = 60_000;

/** A client of the service. Inert until {@link Client.connect}: it may be made on a server, or while a page renders. */
export class Client<Topics_ extends object = Record<string, unknown>> {
  private readonly events: Emitter<ClientEvents>;
  private readonly clock: Clock;
  private readonly connection: ClientConnection;
  private readonly topics: Topics;
  private readonly outgoing: Outgoing;
  private readonly saved: SavedState;
  private readonly directs: DirectMessages;
  private readonly maxMessageBytes: number;
  private readonly keyPrefix: string;
  private keys = 0;
  private current: ConnectionState = { state: 'idle' };
  private isLoading = false;
  private touch: Timer | undefined;

  constructor(options: ClientOptions) {
    const settings = withDefaults(defaults, options);
    const clock = (this.clock = options.clock ?? systemClock);
    const random = options.random ?? Math.random;
    this.maxMessageBytes = settings.maxMessageBytes;
    this.keyPrefix = `${clock.wallTime().toString(36)}-${Math.random().toString(36).slice(2)}-`;
    const onError = (error: ClientError) => {
      if (this.events.has('error')) void this.emit('error', error);
      else console.error(error);
    };
    this.events = new Emitter((cause) => {
      const error = new ClientError('handler_failed', `a listener has failed: ${String(cause)}`, { cause });
      // A failing listener of errors must not call itself.
      queueMicrotask(
        () => this.events.has('error') && !isHandlerFailure(cause) && void this.emit('error', error),
      );
    });
    const state = withDefaults(defaults.state as Required<NonNullable<typeof options.state>>, options.state);
    this.saved = new SavedState(
      { clock, topics: () => this.topics.names, onError },
      state.store!,
      state.key!,
      state.ttlMs!,
    );
    this.topics = new Topics(
      {
        request: (command, body) => this.connection.request(command, body),
        isConnected: () => this.connection.isConnected,
        saved: this.saved,
        clock,
        onStatus: (answer) => this.subscribed(answer),
        onGap: (gap) => void this.emit('gap', gap),
        onError,
      },
      { bufferMax: settings.bufferMax },
    );
    this.outgoing = new Outgoing(
      {
        request: (command, body) => this.connection.request(command, body),
        isConnected: () => this.connection.isConnected,
        clock,
        onUnknown: (item) => void this.emit('unknown', item),
        onError,
      },
      withDefaults(defaults.outgoing as OutgoingOptions, options.outgoing),
    );
    this.directs = new DirectMessages({
      handOver: (message) => this.emit('direct', message),
      hasListener: () => this.events.has('direct'),
      position: () => this.saved.direct,
      handled: (position) => this.saved.setDirect(position),
    });
    const connect: ConnectionFactory =
      options.connection ?? ((dependencies, its) => new Connection(dependencies, its));
    this.connection = connect(
      {
        clock,
        random,
        handshake: () => ({ session_id: this.saved.sessionId, positions: this.topics.positions() }),
        onState: (next) => this.changed(next),
        onEvent: (event, data, ack) => this.received(event, data, ack),
        onPong: (latencyMs) => void this.emit('pong', latencyMs),
        onError,
      },
      { ...settings, path: options.path, reconnect: withDefaults(defaults.reconnect, options.reconnect) },
    );
  }

  /** Connects, and stays connected. */
  connect(): this {
    if (this.isLoading) return this;
    const loading = this.saved.load();
    const go = () => {
      this.isLoading = false;
      this.topics.start();
      this.connection.connect();
    };
    if (loading === undefined) go();
    else {
      this.isLoading = true;
      void loading.then(() => this.isLoading && go());
    }
    return this;
  }

  /** Ends the connection. Subscriptions stay, and go on with the next `connect()`. */
  disconnect(): void {
    this.isLoading = false;
    this.connection.disconnect();
  }

  /** Ends everything for good. What waits to be sent is rejected with `closed`; a store keeps it. */
  close(): void {
    this.disconnect();
    this.topics.close();
    this.outgoing.close();
    this.clock.clearTimer(this.touch);
  }

  get state(): ConnectionState {
    return this.current;
  }

  get isConnected(): boolean {
    return this.connection.isConnected;
  }

  get sessionId(): string | undefined {
    return this.saved.sessionId;
  }

  /** Topics that an earlier page has left in the saved state; known after `connect()`. */
  get savedTopics(): readonly string[] {
    return this.saved.topics;
  }

  /** What waits to be sent or confirmed, and how much may. */
  get pending(): Outgoing['size'] {
    return this.outgoing.size;
  }

  on<Name extends keyof ClientEvents>(
    name: Name,
    listener: (event: ClientEvents[Name]) => unknown,
  ): () => void {
    const remove = this.events.on(name, listener);
    this.directs.pump();
    return remove;
  }

  off<Name extends keyof ClientEvents>(name: Name, listener: (event: ClientEvents[Name]) => unknown): void {
    this.events.off(name, listener);
  }

  topic<Name extends TopicNames<Topics_>>(name: Name): Topic<PayloadOf<Topics_, Name>> {
    return new Topic(name, {
      subscribe: (options) => this.topics.subscribe(name, options),
      publish: (body) => this.publish(body),
      request: (command, body) => this.connection.request(command, body),
    });
  }

  /**
   * Joins a snapshot of the app's own with the messages after it. Resolves with the first snapshot; after a gap
   * `fetchState` is called again, and the subscription has the event `state`.
   */
  getState<State, Name extends TopicNames<Topics_>>(
    name: Name,
    fetchState: () => Promise<Snapshot<State>>,
    options: SubscribeOptions = {},
  ): Promise<{ state: State; subscription: Subscription<PayloadOf<Topics_, Name>, State> }> {
    const subscription = this.topics.subscribe(name, { ...options, getState: fetchState }) as Subscription<
      PayloadOf<Topics_, Name>,
      State
    >;
    return new Promise((resolve, reject) => {
      subscription.on('ended', reject);
      const remove = subscription.on('state', (state) => {
        remove();
        resolve({ state, subscription });
      });
    });
  }

  /** Sends a message to a user. It waits for a connection, and is stored once. */
  direct(to: string, payload: unknown, options: DirectOptions = {}): Promise<DirectReceipt> {
    return this.queue('direct', { to, payload, ...options }) as Promise<DirectReceipt>;
  }

  /**
   * Sends any command of the service, without a queue: it is rejected with `not_connected` while there is no connection.
   * `publish` and `direct` belong to {@link Topic.publish} and {@link Client.direct}, which are repeated and stored once.
   */
  request<Answer = unknown>(command: string, body: object = {}): Promise<Answer> {
    return this.connection.request<Answer>(command, plain(body) as object);
  }

  /** Asks for a token now, and gives it to the service: after the rights of the user have changed. */
  refresh(): Promise<void> {
    return this.connection.refresh();
  }

  /** @throws ClientError `message_too_large` */
  checkSize(payload: unknown): void {
    checkSize(payload, this.maxMessageBytes);
  }

  private publish(body: object): Promise<unknown> {
    return this.queue('publish', body);
  }

  private async queue(command: 'publish' | 'direct', body: object): Promise<unknown> {
    const copy = plain(body) as { readonly payload?: unknown; readonly key?: string };
    this.checkSize(copy.payload);
    return this.outgoing.add({ command, body: { ...copy, key: copy.key ?? this.keyPrefix + ++this.keys } });
  }

  private emit<Name extends keyof ClientEvents>(
    name: Name,
    event: ClientEvents[Name],
  ): Promise<unknown> | undefined {
    return this.events.emit(name, event);
  }

  private changed(next: ConnectionState): void {
    const was = this.current.state;
    this.current = next;
    if (next.state === 'connecting') this.topics.connecting();
    else if (next.state !== 'connected') {
      this.topics.disconnected();
      this.directs.disconnected();
      this.clock.clearTimer(this.touch);
      this.saved.save();
      if (was === 'connected') {
        void this.emit('disconnect', next.reason ?? 'client disconnect');
      }
    }
    void this.emit('state', next);
    const { error } = next;
    if (next.state !== 'stopped' || error === undefined) return;
    if (error.code === 'give_up' || error.code === 'auth_failed') void this.emit(error.code, error);
    void this.emit('error', error);
  }

  private received(event: string, data: unknown, ack: (() => void) | undefined): void {
    switch (event) {
      case 'message':
        return this.topics.message(data as Message, ack);
      case 'gap':
        return this.serviceGap(data as Position & { topic: string; reason: string; previous?: Position });
      case 'presence':
        this.topics.presence(data as PresenceEvent);
        void this.emit('presence', data as PresenceEvent);
        return;
      case 'direct':
        return this.directs.received(data as DirectMessage, ack ?? (() => {}));
      case 'system_notification':
        void this.emit('system_notification', data as Readonly<Record<string, unknown>>);
        return;
      case 'status':
        return this.status(data as Status);
    }
  }

  /** The gap of an inbox has no stream: it is only reported. */
  private serviceGap(gap: Position & { topic: string; reason: string; previous?: Position }): void {
    const { topic, epoch, sequence, reason, previous } = gap;
    const to = { epoch, sequence };
    if (topic.startsWith('$user/')) void this.emit('gap', { topic, from: previous ?? to, to, reason });
    else this.topics.gap(gap);
  }

  private status(status: Status): void {
    const { details } = status;
    const answer = { topics: [], ...(details as Partial<SubscribeAnswer>) };
    switch (status.status) {
      case 'connected':
        this.saved.setSession(details['session_id'] as string);
        this.keepState();
        void this.emit('status', status);
        this.topics.connected(answer);
        this.outgoing.connected();
        void this.emit('connect', this.current);
        return;
      case 'session':
        this.saved.setSession(details['session_id'] as string);
        break;
      case 'subscribed':
        this.topics.answered({
          ...answer,
          topics: (details['positions'] ?? []) as SubscribeAnswer['topics'],
        });
        return;
      case 'unsubscribed':
        this.topics.unsubscribed(
          (details['topics'] ?? []) as string[],
          details['by'] === 'token',
          errorFromWire(
            (details['reason'] as object | undefined) ?? {
              code: 'disconnected',
              message: 'unsubscribed by an operator',
            },
          ),
        );
        break;
    }
    void this.emit('status', status);
  }

  /** Topics were subscribed or refused: the guide's programs wait for this `Status`. */
  private subscribed({ topics, rejected }: SubscribeAnswer): void {
    if (topics.length === 0 && rejected?.length === 0) return;
    this.saved.save();
    const names = topics.map(({ topic }) => topic);
    void this.emit('status', {
      status: 'subscribed',
      details: { topics: names, positions: topics, rejected },
    });
  }

  /** A quiet page has a valid state too. */
  private keepState(): void {
    this.clock.clearTimer(this.touch);
    this.touch = this.clock.setTimeout(() => {
      this.saved.save();
      this.keepState();
    }, touchMs);
    this.touch.unref?.();
  }
}

function isHandlerFailure(cause: unknown): boolean {
  return cause instanceof ClientError && cause.code === 'handler_failed';
}

/** Makes a client. Nothing happens until its `connect()`. */
export function createClient<Topics_ extends object = Record<string, unknown>>(
  options: ClientOptions,
): Client<Topics_> {
  return new Client<Topics_>(options);
}
