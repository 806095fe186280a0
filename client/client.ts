import type { Message } from '../shared/message.js';
import type { Position } from '../shared/position.js';
import { ClientState } from './client-state.js';
import { handlerFailed, type ClientError } from './client-error.js';
import { systemClock } from './clock.js';
import { Connection, type ClientConnection } from './connection.js';
import type { ConnectionDependencies, ConnectionSettings, ConnectionState } from './connection-settings.js';
import { DirectMessages, type DirectMessage } from './direct-messages.js';
import { Emitter } from './emitter.js';
import type { ClientEvents, Status } from './events.js';
import { checkSize } from './message-size.js';
import { defaults, withDefaults, type ClientOptions } from './options.js';
import { plain } from './plain.js';
import { positioned } from './positioned.js';
import { Outgoing, type OutgoingItem } from './outgoing.js';
import type { PresenceEvent, Snapshot, SubscribeOptions } from './subscription-events.js';
import type { Subscription } from './subscription.js';
import { Topic, type DirectOptions, type DirectReceipt } from './topic.js';
import type { Gap } from './topic-stream.js';
import type { PayloadOf, PublishableOf, TopicNames } from './topic-types.js';
import { Topics, type Answered, type EndedTopics, type SubscribeAnswer } from './topics.js';

const touchMs = 60_000;

/** Details of the events `status` that concern the client. */
interface Details {
  readonly session_id?: string;
  readonly positions?: SubscribeAnswer['topics'];
}

/** A client of the service. Inert until {@link Client.connect}: it may be made on a server, or while a page renders. */
export class Client<Topics_ extends object = Record<string, unknown>> {
  private readonly events: Emitter<ClientEvents>;
  private readonly wire: ClientConnection;
  private readonly followed: Topics;
  private readonly unconfirmed: Outgoing;
  private readonly saved: ClientState;
  private readonly directs: DirectMessages;
  private readonly payloadMax: number;
  private readonly keyPrefix: string;
  private keys = 0;
  private current: ConnectionState = { state: 'idle' };
  private isLoading = false;
  /** Ends the wait for the next time that the state is saved. */
  private stopTouching: (() => void) | undefined;

  constructor(options: ClientOptions) {
    const settings = withDefaults(defaults, options);
    const clock = options.clock ?? systemClock;
    this.payloadMax = settings.maxMessageBytes;
    this.keyPrefix = `${Math.random()}-${clock.wallTime()}-`;
    const events = (this.events = new Emitter<ClientEvents>((cause, name) => {
      const error = handlerFailed(name, cause);
      // A failing listener of errors must not call itself.
      if (name === 'error') console.error(error);
      else onError(error);
    }));
    const onError = (error: ClientError) => {
      if (events.hears('error')) void events.fire('error', error);
      else console.error(error);
    };
    const base = {
      clock,
      onError,
      topics: () => this.followed.names,
      request: <Answer>(command: string, body: object) => {
        this.followed.flush();
        return this.wire.request<Answer>(command, body);
      },
      isConnected: () => this.isConnected,
      onStatus: (answer: Answered) => this.subscribed(answer),
      onGap: (gap: Gap) => void events.fire('gap', gap),
      onUnknown: (item: OutgoingItem) => void events.fire('unknown', item),
    };
    const saved = (this.saved = options.state?.(base) ?? new ClientState());
    const topics = (this.followed = new Topics({ ...base, saved }, settings.bufferMax));
    this.directs = new DirectMessages(events, saved, () => this.wire.renew());
    const outgoing = withDefaults(defaults.outgoing, options.outgoing);
    this.unconfirmed = outgoing.store?.(base, outgoing) ?? new Outgoing(base, outgoing);
    const ofConnection: ConnectionDependencies = {
      clock,
      onError,
      random: options.random ?? Math.random,
      handshake: () => ({ session_id: saved.content.session_id, positions: topics.positions() }),
      onState: (next) => this.changed(next),
      onEvent: (event, data, ack) => this.received(event, data, ack),
      onPong: (latencyMs) => void events.fire('pong', latencyMs),
    };
    const itsSettings: ConnectionSettings = {
      ...settings,
      path: options.path,
      reconnect: withDefaults(defaults.reconnect, options.reconnect),
    };
    this.wire = options.connection?.(ofConnection, itsSettings) ?? new Connection(ofConnection, itsSettings);
  }

  /** Connects, and stays connected. After {@link Client.close} it does nothing. */
  connect(): this {
    if (this.isLoading || this.followed.isClosed) return this;
    const go = () => {
      this.isLoading = false;
      this.followed.start();
      this.wire.connect();
    };
    // Later, what is in memory is newer than what is stored.
    const loading = !this.followed.isStarted && this.saved.load();
    if (loading) {
      this.isLoading = true;
      void loading.then(() => this.isLoading && go());
    } else go();
    return this;
  }

  /** Ends the connection. Subscriptions stay, and go on with the next `connect()`. */
  disconnect(): void {
    this.isLoading = false;
    this.wire.disconnect();
  }

  /** Ends everything for good. What waits to be sent is rejected with `closed`; a store keeps it. */
  close(): void {
    this.followed.isClosed = true;
    this.disconnect();
    this.followed.close();
    this.unconfirmed.close();
  }

  get state(): ConnectionState {
    return this.current;
  }

  get isConnected(): boolean {
    return this.wire.isConnected;
  }

  get sessionId(): string | undefined {
    return this.saved.content.session_id;
  }

  /** Topics that an earlier page has left in the saved state; known after `connect()`. */
  get savedTopics(): readonly string[] {
    return this.saved.content.topics;
  }

  /** What waits to be sent or confirmed, and how much may. */
  get pending(): Outgoing['size'] {
    return this.unconfirmed.size;
  }

  on<Name extends keyof ClientEvents>(
    name: Name,
    listener: (event: ClientEvents[Name]) => unknown,
  ): () => void {
    const remove = this.events.on(name, listener);
    void this.directs.pump();
    return remove;
  }

  off<Name extends keyof ClientEvents>(name: Name, listener: (event: ClientEvents[Name]) => unknown): void {
    this.events.off(name, listener);
  }

  topic<Name extends TopicNames<Topics_>>(
    name: Name,
  ): Topic<PayloadOf<Topics_, Name>, PublishableOf<Topics_, Name>> {
    return new Topic(name, this.followed, this.wire, (body) => this.queue('publish', body));
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
    const subscription = this.followed.subscribe(name, { ...options, getState: fetchState }) as Subscription<
      PayloadOf<Topics_, Name>,
      State
    >;
    return new Promise((resolve, reject) => {
      const removeEnd = subscription.on('ended', (error) => {
        reject(error);
        // Nobody else has it.
        subscription.close();
      });
      const remove = subscription.on('state', (state) => {
        remove();
        removeEnd();
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
  async request<Answer = unknown>(command: string, body: object = {}): Promise<Answer> {
    return this.wire.request<Answer>(command, plain(body) as object);
  }

  /** Asks for a token now, and gives it to the service: after the rights of the user have changed. */
  refresh(): Promise<void> {
    return this.wire.refresh();
  }

  /** @throws ClientError `message_too_large`; `invalid_payload` for what cannot be sent */
  checkSize(payload: unknown): void {
    checkSize(plain(payload), this.payloadMax);
  }

  private async queue(command: 'publish' | 'direct', body: object): Promise<unknown> {
    const copy = plain(body) as { readonly payload?: unknown; readonly key?: string };
    checkSize(copy.payload, this.payloadMax);
    return this.unconfirmed.add({
      command,
      body: { ...copy, key: copy.key ?? this.keyPrefix + ++this.keys },
    });
  }

  private changed(next: ConnectionState): void {
    const { events, followed: topics } = this;
    const was = this.current.state;
    this.current = next;
    const { state, error } = next;
    if (state === 'connecting') topics.connecting();
    else if (state !== 'connected') {
      topics.disconnected();
      this.directs.disconnected();
      this.stopTouching?.();
      this.saved.save();
      if (was === 'connected') void events.fire('disconnect', next.reason ?? 'client disconnect');
    }
    // A listener, of the former event too, may have changed the connection: the newer state was told already.
    const isStale = () => this.current !== next;
    void events.fire('state', next, isStale);
    if (state !== 'stopped' || !error) return;
    // Others that end it have no event of their own.
    void events.fire(error.code as 'give_up' | 'auth_failed', error, isStale);
    void events.fire('error', error);
  }

  private received(event: string, data: unknown, ack: (() => void) | undefined): void {
    const { events, followed: topics } = this;
    switch (event) {
      case 'message':
        return topics.arrived(positioned(data as Message), ack);
      case 'gap':
        return this.serviceGap(
          positioned(data as Position & { topic: string; reason: string; previous?: Position }),
        );
      case 'direct':
        return this.directs.received(positioned(data as DirectMessage), ack);
      case 'status':
        return this.status(data as Status);
      case 'presence':
      case 'system_notification':
        if (event === 'presence')
          topics.tellWatchers((data as PresenceEvent).topic, event, data as PresenceEvent);
        void events.fire(event, data as PresenceEvent & ClientEvents['system_notification']);
    }
  }

  /** The gap of an inbox has no stream: it is only reported. */
  private serviceGap(gap: Position & { topic: string; reason: string; previous?: Position }): void {
    const { topic, epoch, sequence, reason, previous } = gap;
    const to = { epoch, sequence };
    if (topic.startsWith('$user/')) void this.events.fire('gap', { topic, from: previous ?? to, to, reason });
    else this.followed.arrived(gap);
  }

  private status(status: Status): void {
    const { events, followed: topics, saved } = this;
    const { status: name, details } = status;
    switch (name) {
      case 'connected':
      case 'session':
        // Here and below: a listener may have ended the connection.
        if (!this.isConnected) return;
        saved.content.session_id = (details as Details).session_id;
        this.keepState();
        break;
      case 'subscribed':
        return topics.answered({ ...details, topics: (details as Details).positions });
      case 'presence_ended':
      case 'unsubscribed':
        topics.ended(details as EndedTopics, name !== 'unsubscribed');
    }
    void events.fire('status', status);
    if (name !== 'connected' || !this.isConnected) return;
    topics.connected(details);
    this.unconfirmed.connected();
    void events.fire('connect', this.current, () => !this.isConnected);
  }

  /** Topics were subscribed, or refused. */
  private subscribed({ topics: positions, rejected }: Answered): void {
    if (!positions[0] && !rejected[0]) return;
    this.saved.save();
    const topics = positions.map(({ topic }) => topic);
    void this.events.fire('status', { status: 'subscribed', details: { topics, positions, rejected } });
  }

  /** Saves the state, again and again: a quiet page has a valid one too. */
  private keepState(): void {
    this.saved.save();
    this.stopTouching?.();
    this.stopTouching = this.followed.later(() => this.keepState(), touchMs);
  }
}

/** Makes a client. Nothing happens until its `connect()`. */
export function createClient<Topics_ extends object = Record<string, unknown>>(
  options: ClientOptions,
): Client<Topics_> {
  return new Client<Topics_>(options);
}
