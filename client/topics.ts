import type { WireError } from '../shared/errors.js';
import type { Message } from '../shared/message.js';
import type { Position, Positions } from '../shared/position.js';
import { errorFromWire, type ClientError } from './client-error.js';
import type { Clock, Timer } from './clock.js';
import type { SavedState } from './saved-state.js';
import { Subscription, type PresenceEvent, type SubscribeOptions } from './subscription.js';
import type { HistoryPage, HistoryRequest, TopicStream } from './topic-stream.js';
import type { Gap } from './topic-stream.js';

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
  readonly topics: readonly SubscribedTopic[];
  readonly rejected?: readonly RejectedTopic[] | undefined;
}

interface HistoryAnswer extends Position {
  readonly messages: Message[];
  readonly complete: boolean;
  readonly next?: { readonly since?: Position; readonly before?: Position };
}

/** `asked`: `subscribe` is on its way; `ended`: the service does not want it to be asked again. */
type WireState = 'none' | 'asked' | 'joined' | 'refused' | 'ended';

interface Entry {
  readonly subscriptions: Set<Subscription>;
  state: WireState;
  /** Where the service was asked to begin. */
  since: Position | undefined;
  /** What this connection has received of the topic. */
  at: Position | undefined;
  watchesPresence: boolean;
}

export interface TopicsDependencies {
  /** Sends a command. Rejects with a ClientError. */
  readonly request: <Answer>(command: string, body: object) => Promise<Answer>;
  readonly isConnected: () => boolean;
  readonly saved: Pick<SavedState, 'position' | 'setPosition'>;
  readonly clock: Clock;
  readonly onStatus: (answer: SubscribeAnswer) => void;
  readonly onGap: (gap: Gap) => void;
  readonly onError: (error: ClientError) => void;
}

export interface TopicsSettings {
  readonly bufferMax: number;
}

/** As many as the service takes in one `subscribe`. */
const topicsPerCommand = 100;
/** Positions of more topics than this are not sent with the handshake, but with `subscribe`. */
const handshakeTopicsMax = 500;
const pageLimit = 1000;
const acksMax = 10_000;
const retryMs = 500;
const retryMaxMs = 10_000;

/** The topics of a client: keeps them subscribed on whichever connection there is, and passes on what arrives. */
export class Topics {
  private readonly entries = new Map<string, Entry>();
  /** Acknowledgements that publishers wait for, by message id. */
  private readonly acks = new Map<string, () => void>();
  private readonly timers = new Set<Timer>();
  private isPlanned = false;
  private isStarted = false;
  /** The handshake had the positions of all topics. */
  private hasGivenAll = true;
  /** Counts connections: what was begun for an earlier one is abandoned. */
  private generation = 0;

  constructor(
    private readonly dependencies: TopicsDependencies,
    private readonly settings: TopicsSettings,
  ) {}

  get names(): string[] {
    return [...this.entries.keys()];
  }

  subscribe(topic: string, options: SubscribeOptions): Subscription {
    const { onGap, onError, saved } = this.dependencies;
    const subscription = new Subscription(
      {
        readHistory: (name, stream, request) => void this.readHistory(name, stream, request),
        isJoined: (name) => this.entries.get(name)?.state === 'joined',
        wirePosition: (name) => this.entries.get(name)?.at,
        confirm: (messageId) => {
          this.acks.get(messageId)?.();
          this.acks.delete(messageId);
        },
        moved: (one) => saved.setPosition(keyOf(one), one.position!),
        closed: (one) => this.remove(one),
        onGap,
        onError,
        later: (run, delayMs) => this.later(run, delayMs),
        bufferMax: this.settings.bufferMax,
      },
      topic,
      options,
    );
    let entry = this.entries.get(topic);
    if (entry === undefined) {
      entry = {
        subscriptions: new Set(),
        state: 'none',
        since: undefined,
        at: undefined,
        watchesPresence: false,
      };
      this.entries.set(topic, entry);
    }
    entry.subscriptions.add(subscription);
    if (entry.state === 'refused' || entry.state === 'ended') entry.state = 'none';
    if (!this.isStarted) return subscription;
    subscription.start(saved.position(keyOf(subscription)));
    // Also before the connection is up: an attempt under way subscribes topics with a position by its handshake.
    subscription.joining();
    if (!this.dependencies.isConnected()) return subscription;
    // Not in this turn: the caller adds its listeners first.
    queueMicrotask(() => {
      if (entry.state !== 'joined') return;
      this.watchPresence(topic, entry);
      subscription.joined(entry.at!, undefined, undefined);
    });
    this.plan();
    return subscription;
  }

  /** The saved state is known: subscriptions can begin. */
  start(): void {
    if (this.isStarted) return;
    this.isStarted = true;
    for (const subscription of this.all())
      subscription.start(this.dependencies.saved.position(keyOf(subscription)));
  }

  /** A connection comes up: messages of its session may arrive before anything else. */
  connecting(): void {
    for (const subscription of this.all()) subscription.joining();
  }

  /** For the handshake: where each topic goes on. */
  positions(): Positions {
    const positions: Record<string, Position> = {};
    this.hasGivenAll = this.entries.size <= handshakeTopicsMax;
    if (!this.hasGivenAll) return positions;
    for (const [topic, entry] of this.entries) {
      entry.since = entry.state === 'ended' ? undefined : earliest(entry.subscriptions);
      if (entry.since !== undefined) positions[topic] = entry.since;
    }
    return positions;
  }

  /** The service has sent `status`: what it has restored is joined, the rest is asked for. */
  connected(answer: SubscribeAnswer): void {
    // What the session has restored from its own positions is subscribed again from those of this client.
    if (this.hasGivenAll) this.answered(answer);
    this.plan();
  }

  /** An answer of `subscribe`, or a `status`. @param asked the entries that were asked for, by topic */
  answered({ topics, rejected = [] }: SubscribeAnswer, asked?: ReadonlyMap<string, Entry>): void {
    const unwanted: string[] = [];
    for (const answer of topics) {
      const entry = this.entries.get(answer.topic);
      // Meanwhile the app has closed the subscription, and perhaps made another one.
      if (asked !== undefined && asked.get(answer.topic) !== entry) continue;
      if (entry === undefined || entry.state === 'ended') unwanted.push(answer.topic);
      else if (entry.state !== 'joined') this.joined(entry, answer);
    }
    for (const { topic, error } of rejected) this.rejected(topic, errorFromWire(error));
    if (unwanted.length > 0) this.send('unsubscribe', { topics: unwanted });
    this.dependencies.onStatus({ topics, rejected });
  }

  /** The service has ended subscriptions. */
  unsubscribed(topics: readonly string[], byToken: boolean, reason: ClientError): void {
    for (const topic of topics) {
      const entry = this.entries.get(topic);
      if (entry === undefined) continue;
      entry.state = byToken ? 'refused' : 'ended';
      entry.at = undefined;
      for (const subscription of entry.subscriptions) {
        subscription.disconnected();
        subscription.ended(reason);
      }
    }
  }

  disconnected(): void {
    this.generation++;
    this.acks.clear();
    for (const entry of this.entries.values()) {
      if (entry.state !== 'ended') entry.state = 'none';
      entry.at = entry.since = undefined;
      entry.watchesPresence = false;
      for (const subscription of entry.subscriptions) subscription.disconnected();
    }
  }

  message(message: Message, ack: (() => void) | undefined): void {
    const entry = this.entries.get(message.topic);
    if (entry === undefined) return;
    if (ack !== undefined) this.acks.set(message.id, ack);
    // The app has been behind for so long that no publisher waits any more.
    if (this.acks.size > acksMax) this.acks.delete(this.acks.keys().next().value!);
    const { epoch, sequence } = message;
    if (entry.state === 'joined') entry.at = { epoch, sequence };
    for (const subscription of entry.subscriptions) subscription.received(message);
  }

  gap(gap: Position & { readonly topic: string; readonly reason: string }): void {
    const entry = this.entries.get(gap.topic);
    if (entry === undefined) return;
    const { epoch, sequence } = gap;
    if (entry.state === 'joined') entry.at = { epoch, sequence };
    for (const subscription of entry.subscriptions) subscription.gap(gap);
  }

  presence(event: PresenceEvent): void {
    for (const subscription of this.entries.get(event.topic)?.subscriptions ?? [])
      if (subscription.options.presence === true) subscription.presence(event);
  }

  /** Ends all subscriptions. */
  close(): void {
    for (const subscription of [...this.all()]) subscription.close();
    for (const timer of this.timers) this.dependencies.clock.clearTimer(timer);
  }

  private *all(): Iterable<Subscription> {
    for (const { subscriptions } of this.entries.values()) yield* subscriptions;
  }

  private remove(subscription: Subscription): void {
    const entry = this.entries.get(subscription.topic);
    entry?.subscriptions.delete(subscription);
    if (entry === undefined || entry.subscriptions.size > 0) return;
    this.entries.delete(subscription.topic);
    if (this.dependencies.isConnected() && (entry.state === 'joined' || entry.state === 'asked'))
      this.send('unsubscribe', { topics: [subscription.topic] });
  }

  private joined(entry: Entry, { topic, epoch, sequence, recovered }: SubscribedTopic): void {
    entry.state = 'joined';
    const end = { epoch, sequence };
    entry.at = recovered === true && entry.since !== undefined ? entry.since : end;
    // Before listeners ask who is there: so no event is missing after the answer.
    this.watchPresence(topic, entry);
    for (const subscription of entry.subscriptions) subscription.joined(end, entry.since, recovered);
  }

  /** Switches presence events on, for a topic that is subscribed without them: from its position on, so nothing is repeated. */
  private watchPresence(topic: string, entry: Entry): void {
    if (entry.watchesPresence || !wantsPresence(entry)) return;
    entry.watchesPresence = true;
    this.send('subscribe', { topics: [topic], since: { [topic]: entry.since ?? entry.at! }, presence: true });
  }

  private rejected(topic: string, error: ClientError): void {
    const entry = this.entries.get(topic);
    if (entry === undefined || entry.state === 'joined') return;
    entry.state = error.retryable ? 'none' : 'refused';
    if (error.retryable) this.later(() => this.plan(), error.retryAfterMs ?? retryMs);
    else for (const subscription of entry.subscriptions) subscription.ended(error);
  }

  /** Subscribes, at the end of the turn, to what is not subscribed yet. */
  private plan(): void {
    if (this.isPlanned) return;
    this.isPlanned = true;
    queueMicrotask(() => {
      this.isPlanned = false;
      if (!this.dependencies.isConnected()) return;
      const open = [...this.entries].filter(([, { state }]) => state === 'none');
      const watched = open.filter(([, entry]) => wantsPresence(entry));
      const others = open.filter(([, entry]) => !wantsPresence(entry));
      for (const [some, presence] of [
        [others, false],
        [watched, true],
      ] as const)
        for (let i = 0; i < some.length; i += topicsPerCommand)
          void this.ask(some.slice(i, i + topicsPerCommand), presence);
    });
  }

  private async ask(entries: readonly [string, Entry][], presence: boolean): Promise<void> {
    const { generation } = this;
    const since: Record<string, Position> = {};
    for (const [topic, entry] of entries) {
      entry.state = 'asked';
      entry.watchesPresence = presence;
      entry.since = earliest(entry.subscriptions);
      if (entry.since !== undefined) since[topic] = entry.since;
      for (const subscription of entry.subscriptions) subscription.joining();
    }
    const topics = entries.map(([topic]) => topic);
    try {
      const answer = await this.dependencies.request<SubscribeAnswer>('subscribe', {
        topics,
        ...(Object.keys(since).length > 0 && { since }),
        ...(presence && { presence }),
      });
      if (generation === this.generation) this.answered(answer, new Map(entries));
    } catch (error) {
      if (generation !== this.generation) return;
      for (const topic of topics) this.rejected(topic, error as ClientError);
    }
  }

  /** A command whose answer changes nothing. */
  private send(command: string, body: object): void {
    this.dependencies.request(command, body).catch(() => {});
  }

  private async readHistory(topic: string, stream: TopicStream, request: HistoryRequest): Promise<void> {
    const { generation } = this;
    for (let delayMs = retryMs; ; delayMs = Math.min(delayMs * 2, retryMaxMs)) {
      try {
        const page = await this.page(topic, request);
        if (generation === this.generation) stream.historyRead(page);
        return;
      } catch (failure) {
        const error = failure as ClientError;
        if (generation !== this.generation) return;
        if (!error.retryable) {
          this.dependencies.onError(error);
          return stream.unreadable();
        }
        await new Promise<void>((resolve) => this.later(resolve, error.retryAfterMs ?? delayMs));
        if (generation !== this.generation) return;
      }
    }
  }

  private async page(topic: string, request: HistoryRequest): Promise<HistoryPage> {
    if ('since' in request) {
      const { next, ...page } = await this.ofHistory(topic, request, pageLimit);
      return { ...page, next: next?.since };
    }
    const newest = await this.ofHistory(topic, {}, request.last);
    const { messages, epoch, sequence } = newest;
    for (let { next } = newest; next !== undefined && messages.length < request.last;) {
      const page = await this.ofHistory(topic, next, request.last - messages.length);
      messages.unshift(...page.messages);
      next = page.next;
    }
    return { messages, epoch, sequence, complete: true };
  }

  private async ofHistory(topic: string, body: object, limit: number): Promise<HistoryAnswer> {
    const { request } = this.dependencies;
    try {
      return await request<HistoryAnswer>('history', { topic, ...body, limit: Math.min(limit, pageLimit) });
    } catch (error) {
      // An operator may allow smaller pages only.
      if ((error as ClientError).field !== 'limit') throw error;
      return request<HistoryAnswer>('history', { topic, ...body });
    }
  }

  private later(run: () => void, delayMs: number): () => void {
    const { clock } = this.dependencies;
    const timer = clock.setTimeout(() => {
      this.timers.delete(timer);
      run();
    }, delayMs);
    this.timers.add(timer);
    return () => {
      this.timers.delete(timer);
      clock.clearTimer(timer);
    };
  }
}

function wantsPresence({ subscriptions }: Entry): boolean {
  return [...subscriptions].some(({ options }) => options.presence === true);
}

/** Where a topic has to begin, so that each subscription gets what it lacks. */
function earliest(subscriptions: Iterable<Subscription>): Position | undefined {
  let earliestAt: Position | undefined;
  for (const { at } of subscriptions)
    if (at !== undefined && (earliestAt === undefined || at.sequence < earliestAt.sequence)) earliestAt = at;
  return earliestAt;
}

/** The key of a subscription in the saved state. Topic names have no `#`. */
function keyOf({ topic, options: { id } }: Subscription): string {
  return id === undefined ? topic : `${topic}#${id}`;
}
