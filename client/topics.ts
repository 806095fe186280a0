import type { WireError } from '../shared/errors.js';
import type { Message } from '../shared/message.js';
import type { Position, Positions } from '../shared/position.js';
import { errorFromWire, type ClientError } from './client-error.js';
import type { Clock } from './clock.js';
import { readPage } from './history-pages.js';
import type { ClientState } from './client-state.js';
import { Subscription, type SubscriptionTopics } from './subscription.js';
import type { PresenceEvent, SubscribeOptions } from './subscription-events.js';
import { Timers } from './timers.js';
import { askedSince, keyOf, wantsPresence, WireState, type TopicEntry } from './topic-entry.js';
import type { Gap, HistoryRequest, ServiceGap, TopicStream } from './topic-stream.js';

/** One topic in an answer of `subscribe`, or in `status`. */
interface SubscribedTopic extends Position {
  readonly topic: string;
  readonly recovered?: boolean;
}

interface RejectedTopic {
  readonly topic: string;
  readonly error: WireError;
}

/** What the answers of `subscribe` and the `status` events have in common. */
export interface SubscribeAnswer {
  readonly topics?: readonly SubscribedTopic[] | undefined;
  readonly rejected?: readonly RejectedTopic[] | undefined;
}

/** Topics that were subscribed, or refused. */
export type Answered = { readonly [Name in keyof SubscribeAnswer]-?: NonNullable<SubscribeAnswer[Name]> };

/** A `status` of subscriptions that the service has ended. */
export interface EndedTopics {
  readonly topics?: readonly string[];
  readonly by?: string;
  readonly reason?: Partial<WireError>;
}

/** @internal */
export interface TopicsDependencies {
  /** Sends a command. Rejects with a ClientError. */
  readonly request: <Answer>(command: string, body: object) => Promise<Answer>;
  readonly isConnected: () => boolean;
  readonly saved: ClientState;
  readonly clock: Clock;
  readonly onStatus: (answer: Answered) => void;
  readonly onGap: (gap: Gap) => void;
  readonly onError: (error: ClientError) => void;
}

/** As many as the service takes in one `subscribe`. */
const topicsPerCommand = 100;
/** Positions of more topics than this are not sent with the handshake, but with `subscribe`. */
const handshakeTopicsMax = 500;
const acksMax = 10_000;
const retryMs = 500;
const retryMaxMs = 10_000;
/** Of what has ended without a reason. */
const operator: Partial<WireError> = { code: 'disconnected', message: 'ended by an operator' };

/** The topics of a client: keeps them subscribed on whichever connection there is, and passes on what arrives. */
export class Topics implements SubscriptionTopics {
  private readonly byTopic = new Map<string, TopicEntry>();
  /** Acknowledgements that publishers wait for, by message id. */
  private readonly acks = new Map<string, () => void>();
  private readonly timers: Timers;
  /** Topics to be unsubscribed. */
  private unwanted: string[] = [];
  private isPlanned = false;
  /** @internal */
  isStarted = false;
  /** @internal */
  isClosed = false;
  /** The handshake had the positions of all topics. */
  private hasGivenAll = true;
  /** Counts connections: what was begun for an earlier one is abandoned. */
  private generation = 0;

  constructor(
    private readonly dependencies: TopicsDependencies,
    readonly queueMax: number,
  ) {
    this.timers = new Timers(dependencies.clock);
  }

  get names(): string[] {
    return [...this.byTopic.keys()];
  }

  subscribe(name: string, options: SubscribeOptions): Subscription {
    // Of one that is no text the service would refuse the whole command.
    const topic = `${name}`;
    const subscription = new Subscription(this, this.dependencies, topic, options);
    // As below: listeners come first.
    if (this.isClosed) queueMicrotask(() => subscription.close());
    const entry: TopicEntry = this.byTopic.get(topic) ?? {
      subscriptions: new Set(),
      wireState: WireState.None,
    };
    this.byTopic.set(topic, entry);
    entry.subscriptions.add(subscription);
    if (entry.wireState >= WireState.Refused) entry.wireState = WireState.None;
    if (!this.isStarted) return subscription;
    this.begin(subscription);
    // Also before the connection is up: an attempt under way subscribes topics with a position by its handshake.
    subscription.joining();
    // Not in this turn: the caller adds its listeners first.
    queueMicrotask(() => {
      if (!entry.at) return;
      this.watchPresence(topic, entry);
      subscription.joined(entry.at);
      this.dependencies.saved.save();
    });
    this.plan();
    return subscription;
  }

  /** The saved state is known: subscriptions can begin. */
  start(): void {
    if (this.isStarted) return;
    this.isStarted = true;
    for (const subscription of this.all()) this.begin(subscription);
  }

  private begin(subscription: Subscription): void {
    subscription.start(this.dependencies.saved.content.positions[keyOf(subscription)]);
  }

  // What subscriptions need.

  /** The end of the topic as the connection has received it; undefined while it is not subscribed. */
  wirePosition(topic: string): Position | undefined {
    return this.byTopic.get(topic)?.at;
  }

  confirm(messageId: string): void {
    this.acks.get(messageId)?.();
    this.acks.delete(messageId);
  }

  moved(subscription: Subscription, isBeginning: boolean): void {
    const { saved } = this.dependencies;
    saved.content.positions[keyOf(subscription)] = subscription.position!;
    // Where many topics begin together, the state is saved once for all: see `answered`.
    if (!isBeginning) saved.save();
  }

  later(run: () => void, delayMs: number): () => void {
    return this.timers.later(run, delayMs);
  }

  closed(subscription: Subscription): void {
    const { topic } = subscription;
    const entry = this.byTopic.get(topic);
    if (!entry?.subscriptions.delete(subscription) || entry.subscriptions.size > 0) return;
    this.byTopic.delete(topic);
    if (entry.wireState === WireState.Joined || entry.wireState === WireState.Asked) this.leave([topic]);
  }

  async readHistory(topic: string, stream: TopicStream, request: HistoryRequest): Promise<void> {
    const { generation } = this;
    for (let delayMs = retryMs; generation === this.generation; delayMs = Math.min(delayMs * 2, retryMaxMs))
      try {
        return stream.historyRead(await readPage(this.request, topic, request));
      } catch (failure) {
        const error = failure as ClientError;
        if (!error.retryable) {
          this.dependencies.onError(error);
          return stream.unreadable();
        }
        await new Promise<void>((resolve) => this.later(resolve, error.retryAfterMs ?? delayMs));
      }
  }

  // What the client reports.

  /** A connection comes up: messages of its session may arrive before anything else. */
  connecting(): void {
    for (const subscription of this.all()) subscription.joining();
  }

  /** For the handshake: where each topic goes on. */
  positions(): Positions {
    this.hasGivenAll = this.byTopic.size <= handshakeTopicsMax;
    return this.hasGivenAll ? askedSince(this.byTopic) : {};
  }

  /** The service has sent `status`: what it has restored is joined, the rest is asked for. */
  connected(answer: SubscribeAnswer): void {
    // What the session has restored from its own positions is subscribed again from those of this client, or left.
    this.answered(answer, this.hasGivenAll ? undefined : new Map());
    this.plan();
  }

  /** An answer of `subscribe`, or a `status`. @param asked the entries that were asked for, by topic */
  answered(
    { topics = [], rejected = [] }: SubscribeAnswer,
    asked: ReadonlyMap<string, TopicEntry> = this.byTopic,
  ): void {
    const { generation } = this;
    for (const { topic, epoch, sequence, recovered } of topics) {
      const entry = this.byTopic.get(topic);
      // Meanwhile the app has closed the subscription, and perhaps made another one.
      if (asked.get(topic) !== entry) continue;
      if (!entry || entry.wireState === WireState.Ended) this.leave([topic]);
      else if (entry.wireState !== WireState.Joined)
        this.joined(entry, topic, { epoch, sequence }, recovered);
      // A listener has ended the connection: nothing of it is true any more.
      if (generation !== this.generation) return;
    }
    for (const { topic, error } of rejected) this.rejected(topic, errorFromWire(error), asked.get(topic));
    this.dependencies.onStatus({ topics, rejected });
  }

  /** The service has ended subscriptions. @param isPresence only their presence events: who wants them asks once more, and is told */
  ended({ topics = [], by, reason = operator }: EndedTopics, isPresence: boolean): void {
    for (const topic of topics) {
      const entry = this.byTopic.get(topic);
      if (entry && isPresence) this.watchPresence(topic, entry, true);
      else if (entry)
        this.end(entry, by === 'token' ? WireState.Refused : WireState.Ended, errorFromWire(reason));
    }
  }

  disconnected(): void {
    this.generation++;
    this.acks.clear();
    this.unwanted = [];
    for (const entry of this.byTopic.values()) {
      if (entry.wireState !== WireState.Ended) entry.wireState = WireState.None;
      entry.at = entry.askedSince = entry.watchesPresence = undefined;
      for (const subscription of entry.subscriptions) subscription.disconnected();
    }
  }

  /** A message, or a gap. @param ack for a message whose publisher waits */
  arrived(item: Message | (ServiceGap & { readonly topic: string }), ack?: () => void): void {
    const { topic, epoch, sequence } = item;
    const entry = this.byTopic.get(topic);
    if (!entry) return;
    if (entry.wireState === WireState.Joined) entry.at = { epoch, sequence };
    if (ack) this.acks.set((item as Message).id, ack);
    // The app has been behind for so long that no publisher waits any more.
    if (this.acks.size > acksMax) this.acks.delete(this.acks.keys().next().value!);
    for (const subscription of entry.subscriptions) subscription.received(item);
  }

  /** Tells those who want presence events. */
  tellWatchers(topic: string, name: 'presence' | 'subscribed', event: PresenceEvent | Position): void {
    // A listener may subscribe again.
    for (const subscription of [...(this.byTopic.get(topic)?.subscriptions ?? [])])
      if (subscription.options.presence) subscription.tell(name, event as PresenceEvent & Position);
  }

  /** Ends all subscriptions. */
  close(): void {
    for (const subscription of this.all()) subscription.close();
    this.timers.clear();
  }

  private all(): Subscription[] {
    return [...this.byTopic.values()].flatMap(({ subscriptions }) => [...subscriptions]);
  }

  private joined(entry: TopicEntry, topic: string, end: Position, recovered: boolean | undefined): void {
    entry.wireState = WireState.Joined;
    entry.at = recovered && entry.askedSince ? entry.askedSince : end;
    // Before listeners ask who is there: so no event is missing after the answer.
    this.watchPresence(topic, entry);
    for (const subscription of [...entry.subscriptions])
      subscription.joined(end, entry.askedSince, recovered);
  }

  /** Switches presence events on, for a topic that is subscribed without them: from its position on, so nothing is repeated. */
  private watchPresence(topic: string, entry: TopicEntry, isAgain?: boolean): void {
    if (isAgain) entry.watchesPresence = false;
    if (entry.wireState !== WireState.Joined || entry.watchesPresence || !wantsPresence(entry)) return;
    entry.watchesPresence = true;
    this.request<SubscribeAnswer>('subscribe', {
      topics: [topic],
      since: { [topic]: entry.at! },
      presence: true,
    })
      .then(({ rejected: [refusal] = [] }) => {
        if (refusal) throw errorFromWire(refusal.error);
        // What was asked before about who is there may be old.
        if (isAgain) this.tellWatchers(topic, 'subscribed', entry.at!);
      })
      .catch((error: ClientError) => {
        entry.watchesPresence = false;
        if (!wantsPresence(entry)) return;
        // The messages go on without them.
        if (!error.retryable) return this.dependencies.onError(error);
        this.later(() => this.watchPresence(topic, entry, true), error.retryAfterMs ?? retryMs);
      });
  }

  private rejected(topic: string, error: ClientError, entry: TopicEntry | undefined): void {
    // As above: another subscription may have taken the place.
    if (!entry || this.byTopic.get(topic) !== entry || entry.wireState === WireState.Joined) return;
    if (!error.retryable && !entry.watchesPresence) return this.end(entry, WireState.Refused, error);
    entry.wireState = WireState.None;
    // Perhaps only its presence events are refused: messages come without them.
    entry.watchesPresence &&= error.retryable;
    this.later(() => this.plan(), error.retryAfterMs ?? retryMs);
  }

  private end(entry: TopicEntry, wireState: WireState, error: ClientError): void {
    entry.wireState = wireState;
    entry.at = undefined;
    // A listener may subscribe again.
    for (const subscription of [...entry.subscriptions]) {
      subscription.disconnected();
      subscription.tell('ended', error);
    }
  }

  private leave(topics: readonly string[]): void {
    this.unwanted.push(...topics);
    this.plan();
  }

  /** At the end of the turn: unsubscribes, and subscribes to what is not subscribed yet. */
  private plan(): void {
    this.isPlanned = true;
    // All but the first one find nothing planned.
    queueMicrotask(() => this.flush());
  }

  /** Subscribes now to what is planned: nothing that is sent later in the turn overtakes it. */
  flush(): void {
    if (!this.isPlanned) return;
    this.isPlanned = false;
    if (!this.dependencies.isConnected()) return;
    while (this.unwanted.length > 0) {
      const topics = this.unwanted.splice(0, topicsPerCommand);
      this.request('unsubscribe', { topics }).catch((error: ClientError) => {
        const again = () => this.leave(topics.filter((topic) => !this.byTopic.has(topic)));
        if (error.retryable) this.later(again, error.retryAfterMs ?? retryMs);
      });
    }
    for (const presence of [false, true]) {
      const open = [...this.byTopic].filter(
        ([, entry]) =>
          entry.wireState === WireState.None &&
          (entry.watchesPresence !== false && wantsPresence(entry)) === presence,
      );
      while (open[0]) void this.ask(new Map(open.splice(0, topicsPerCommand)), presence);
    }
  }

  private async ask(asked: ReadonlyMap<string, TopicEntry>, presence: boolean): Promise<void> {
    const since = askedSince(asked);
    for (const entry of asked.values()) {
      entry.wireState = WireState.Asked;
      entry.watchesPresence = presence;
      for (const subscription of entry.subscriptions) subscription.joining();
    }
    try {
      const body = { topics: [...asked.keys()], since, presence };
      this.answered(await this.request('subscribe', body), asked);
    } catch (error) {
      for (const [topic, entry] of asked) this.rejected(topic, error as ClientError, entry);
    }
  }

  /** Sends a command. What would come of it after the connection is lost never comes. */
  private readonly request = async <Answer>(command: string, body: object): Promise<Answer> => {
    const { generation } = this;
    try {
      return await this.dependencies.request<Answer>(command, body);
    } finally {
      if (generation !== this.generation) await new Promise(() => {});
    }
  };
}
