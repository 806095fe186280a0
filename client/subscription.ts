import type { Message } from '../shared/message.js';
import type { Position } from '../shared/position.js';
import { closed, handlerFailed, type ClientError } from './client-error.js';
import { Emitter } from './emitter.js';
import { iterate } from './iterate.js';
import { positioned } from './positioned.js';
import type { Batch, SubscribeOptions, SubscriptionEvents, TopicMessage } from './subscription-events.js';
import { TopicStream, type Gap, type HistoryRequest, type ServiceGap } from './topic-stream.js';

type Item = Batch | { readonly gap: Gap } | { readonly state: unknown };

/** What a subscription needs of the topics of its client. @internal */
export interface SubscriptionTopics {
  readHistory(topic: string, stream: TopicStream, request: HistoryRequest): unknown;
  /** The end of the topic as the connection has received it; undefined while it is not subscribed. */
  wirePosition(topic: string): Position | undefined;
  /** Acknowledges a message whose publisher waits for that. */
  confirm(messageId: string): void;
  /** The position has changed. */
  /** @param isBeginning it has handed over nothing yet */
  moved(subscription: Subscription, isBeginning: boolean): void;
  closed(subscription: Subscription): void;
  /** Runs after a delay; the result cancels it. */
  later(run: () => void, delayMs: number): () => void;
  /** More messages than this in the queue: the subscription stops receiving, and reads on from the history later. */
  readonly queueMax: number;
}

/** @internal */
export interface SubscriptionDependencies {
  readonly onGap: (gap: Gap) => void;
  readonly onError: (error: ClientError) => void;
}

/** Missed messages that do not go on arriving are handed over after this time, in milliseconds. */
const missedWaitMs = 1000;
const stateRetryMs = 1000;
const stateRetryMaxMs = 30_000;

/** One topic, handed over to the app in order, each message once. */
export class Subscription<Payload = unknown, State = unknown> implements AsyncIterable<
  TopicMessage<Payload>
> {
  /** Of any payload, so that a subscription of a known payload is one of any. */
  private readonly events: Emitter<SubscriptionEvents<unknown>>;
  private queue: Item[] = [];
  private queuedMessages = 0;
  private isPumping = false;
  /** Waits for the state of the app. */
  private isHeld: boolean;
  private isAsked = false;
  private isBehind = false;
  private isClosed = false;
  private handledAt: Position | undefined;
  /** The last message whose listeners have returned, of those that are being handed over. */
  private returnedAt: Position | undefined;
  private stopWaiting: (() => void) | undefined;
  private stream: TopicStream | undefined;

  /** @internal */
  constructor(
    private readonly owner: SubscriptionTopics,
    private readonly dependencies: SubscriptionDependencies,
    readonly topic: string,
    readonly options: SubscribeOptions<State>,
  ) {
    this.isHeld = options.getState !== undefined;
    if (options.since) positioned(options.since);
    this.events = new Emitter((cause) => dependencies.onError(handlerFailed(topic, cause)));
  }

  /** The last message whose listeners have returned. */
  get position(): Position | undefined {
    return this.handledAt;
  }

  /** Messages that wait for the app. */
  get waiting(): number {
    return this.queuedMessages;
  }

  /** Adds a listener. Returns a function that removes it. Messages wait until there is a listener or an iterator. */
  on<Name extends keyof SubscriptionEvents<Payload, State>>(
    name: Name,
    listener: (event: SubscriptionEvents<Payload, State>[Name]) => unknown,
  ): () => void {
    const remove = this.events.on(name, listener as (event: unknown) => unknown);
    void this.pump();
    return remove;
  }

  off<Name extends keyof SubscriptionEvents<Payload, State>>(
    name: Name,
    listener: (event: SubscriptionEvents<Payload, State>[Name]) => unknown,
  ): void {
    this.events.off(name, listener as (event: unknown) => unknown);
  }

  /** Each message. The next one is taken when the loop asks for it. Leaving the loop closes the subscription. */
  [Symbol.asyncIterator](): AsyncIterator<TopicMessage<Payload>, undefined> {
    return this.iterator('message');
  }

  /** As the iterator of messages, with batches. */
  batches(): AsyncIterable<Batch<Payload>> {
    return { [Symbol.asyncIterator]: () => this.iterator('batch') };
  }

  private iterator<Name extends 'message' | 'batch'>(
    name: Name,
  ): AsyncIterator<SubscriptionEvents<Payload, State>[Name], undefined> {
    return iterate(
      (listener) => this.on(name, listener),
      (end) => (this.isClosed ? end(closed('subscription')) : this.events.on('ended', end)),
      () => this.close(),
    );
  }

  /** Ends the subscription. */
  close(): void {
    if (this.isClosed) return;
    if (this.returnedAt) this.moveTo(this.returnedAt);
    this.isClosed = true;
    this.stopWaiting?.();
    this.empty();
    this.owner.closed(this as unknown as Subscription);
    this.tell('ended', closed('subscription'));
  }

  // Calls of the client.

  /** @internal Begins: after a saved position, if the options name no other beginning. */
  start(saved: Position | undefined): void {
    const { since, last, getState } = this.options;
    this.begin(since ?? (last !== undefined || getState ? undefined : saved), last);
  }

  /** @internal */
  get at(): Position | undefined {
    return this.stream?.at;
  }

  /** @internal */
  joining(): void {
    this.stream?.joining();
  }

  /** @internal */
  joined(end: Position, since?: Position, recovered?: boolean): void {
    if (this.isClosed) return;
    const { last, getState } = this.options;
    // A page that is reloaded before its first message goes on where this one began.
    if (!this.at && last === undefined && !getState) this.moveTo(end, true);
    this.stream?.joined({ ...end, since, recovered });
    void this.events.fire('subscribed', end);
    if (this.isHeld && !this.isAsked) void this.loadState();
  }

  /** @internal */
  received(item: Message | ServiceGap): void {
    this.stream?.arrived(item);
    if (this.stream?.isCollecting)
      this.stopWaiting ??= this.owner.later(() => {
        this.stopWaiting = undefined;
        this.stream?.hurry();
      }, missedWaitMs);
  }

  /** @internal */
  disconnected(): void {
    this.stream?.disconnected();
  }

  /** @internal */
  tell<Name extends 'presence' | 'ended' | 'subscribed'>(
    name: Name,
    event: SubscriptionEvents<unknown>[Name],
  ): void {
    void this.events.fire(name, event);
  }

  /** Follows the topic after a position. */
  private begin(at: Position | undefined, last?: number): void {
    this.handledAt = at;
    const stream: TopicStream = (this.stream = new TopicStream(
      {
        deliver: (messages, replayed) => stream === this.stream && this.deliver(messages, replayed),
        lost: (gap) => stream === this.stream && this.push({ gap }, 0),
        readHistory: (request) => this.owner.readHistory(this.topic, stream, request),
      },
      this.topic,
      at,
      last,
    ));
  }

  /** Drops what has arrived, and reads no history on. */
  private empty(): void {
    this.disconnected();
    this.queue = [];
    this.queuedMessages = 0;
  }

  private deliver(messages: readonly Message[], replayed: boolean): void {
    if (this.isClosed) return;
    const given = (
      replayed ? messages.map((message) => ({ ...message, replayed })) : messages
    ) as readonly TopicMessage<Payload>[];
    this.push({ messages: given, replayed }, messages.length);
    if (this.queuedMessages > this.owner.queueMax && !this.isBehind) {
      this.isBehind = true;
      this.stream?.pause();
    }
  }

  private push(item: Item, messages: number): void {
    this.queue.push(item);
    this.queuedMessages += messages;
    void this.pump();
  }

  private hasConsumer(item: Item): boolean {
    const { events } = this;
    return (
      !this.isHeld &&
      !this.isClosed &&
      (events.hears('message') || events.hears('batch') || ('state' in item && events.hears('state')))
    );
  }

  /** Hands over what waits, one after the other. What listeners do without a promise is done at once. */
  private async pump(): Promise<void> {
    const { events } = this;
    if (this.isPumping) return;
    this.isPumping = true;
    while (this.queue.length > 0 && this.hasConsumer(this.queue[0]!)) {
      const item = this.queue.shift()!;
      const isBatchTaken = events.hears('batch');
      // Who comes while the batch is handled begins with what follows it.
      const isEachTaken = events.hears('message');
      const pending = this.handOver(item);
      if (pending) await pending;
      if (!('messages' in item)) continue;
      const { messages } = item;
      let i = 0;
      let from = 0;
      const done = (to: number) => {
        if (to > from) this.done(messages, from, to);
        from = to;
      };
      while (i < messages.length && !this.isClosed && (isBatchTaken || events.hears('message'))) {
        this.returnedAt = messages[i - 1];
        const message = messages[i++]!;
        const pending = isEachTaken && events.fire('message', message);
        if (pending) {
          // Those before need not wait for it.
          done(i - 1);
          await pending;
        }
        if (this.isClosed) break;
        if (message.confirm) this.owner.confirm(message.id);
        if (pending) done(i);
      }
      done(i);
      // The listeners have gone: the rest waits for others.
      if (i < messages.length) this.queue.unshift({ ...item, messages: messages.slice(i) });
    }
    this.isPumping = false;
    if (!this.isBehind || this.queuedMessages > this.owner.queueMax / 2) return;
    this.isBehind = false;
    this.stream?.resume(this.owner.wirePosition(this.topic) !== undefined);
  }

  private handOver(item: Item): Promise<unknown> | undefined {
    const { events } = this;
    if ('state' in item) return events.fire('state', item.state);
    // As a whole; its messages follow one by one.
    if ('messages' in item) return events.fire('batch', item);
    const { gap } = item;
    this.dependencies.onGap(gap);
    const pending = events.fire('gap', gap);
    this.moveTo(gap.to);
    if (this.options.getState) void this.loadState(gap.to);
    return pending;
  }

  /** The listeners of some messages have returned. */
  private done(messages: readonly TopicMessage[], from: number, to: number): void {
    if (this.isClosed) return;
    this.queuedMessages -= to - from;
    this.moveTo(messages[to - 1]!);
  }

  /** The app has everything up to a position. */
  private moveTo({ epoch, sequence }: Position, isBeginning = false): void {
    this.handledAt = { epoch, sequence };
    this.returnedAt = undefined;
    this.owner.moved(this as unknown as Subscription, isBeginning);
  }

  /**
   * Asks the app for its snapshot; the stream goes on behind it.
   *
   * @param lost what is before this is lost: from an older snapshot there is no way to what follows, however often it is fetched
   */
  private async loadState(lost?: Position): Promise<void> {
    this.isHeld = this.isAsked = true;
    const { owner, topic } = this;
    for (let retryMs = stateRetryMs; !this.isClosed; retryMs = Math.min(retryMs * 2, stateRetryMaxMs)) {
      try {
        const { state, position } = await this.options.getState!();
        if (this.isClosed) return;
        if (
          position &&
          positioned(position) &&
          !(lost && (position.epoch !== lost.epoch || position.sequence < lost.sequence))
        ) {
          this.empty();
          this.isBehind = false;
          this.begin(position);
          this.joining();
          const end = owner.wirePosition(topic);
          if (end) this.stream!.joined({ ...end, since: undefined });
        }
        this.queue.unshift({ state });
        this.isHeld = false;
        return void this.pump();
      } catch (cause) {
        this.dependencies.onError(handlerFailed(topic, cause));
        await new Promise<void>((resolve) => owner.later(resolve, retryMs));
      }
    }
  }
}
