import type { Message } from '../shared/message.js';
import type { Position } from '../shared/position.js';
import { ClientError } from './client-error.js';
import { Emitter } from './emitter.js';
import { iterate } from './iterate.js';
import { TopicStream, type Gap, type HistoryRequest } from './topic-stream.js';

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

type Item = Batch | { readonly gap: Gap } | { readonly state: unknown };

/** What a subscription needs from its client. */
export interface SubscriptionDependencies {
  readonly readHistory: (topic: string, stream: TopicStream, request: HistoryRequest) => void;
  readonly isJoined: (topic: string) => boolean;
  /** The end of the topic as the connection has received it; undefined while it is not subscribed. */
  readonly wirePosition: (topic: string) => Position | undefined;
  /** Acknowledges a message whose publisher waits for that. */
  readonly confirm: (messageId: string) => void;
  /** The position has changed. */
  readonly moved: (subscription: Subscription) => void;
  readonly closed: (subscription: Subscription) => void;
  readonly onGap: (gap: Gap) => void;
  readonly onError: (error: ClientError) => void;
  /** Runs after a delay; the result cancels it. */
  readonly later: (run: () => void, delayMs: number) => () => void;
  /** More messages than this in the queue: the subscription stops receiving, and reads on from the history later. */
  readonly bufferMax: number;
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
  private queued = 0;
  private isPumping = false;
  /** Waits for the state of the app. */
  private isHeld: boolean;
  private isAsked = false;
  private isBehind = false;
  private isClosed = false;
  private handledAt: Position | undefined;
  private stopWaiting: (() => void) | undefined;
  private stream: TopicStream | undefined;

  constructor(
    private readonly dependencies: SubscriptionDependencies,
    readonly topic: string,
    readonly options: SubscribeOptions<State>,
  ) {
    this.isHeld = options.getState !== undefined;
    this.events = new Emitter((cause) =>
      dependencies.onError(
        new ClientError('handler_failed', `a listener of ${topic} has failed: ${String(cause)}`, { cause }),
      ),
    );
  }

  /** The last message whose listeners have returned. */
  get position(): Position | undefined {
    return this.handledAt;
  }

  /** Messages that wait for the app. */
  get waiting(): number {
    return this.queued;
  }

  /** Adds a listener. Returns a function that removes it. Messages wait until there is a listener or an iterator. */
  on<Name extends keyof SubscriptionEvents<Payload, State>>(
    name: Name,
    listener: (event: SubscriptionEvents<Payload, State>[Name]) => unknown,
  ): () => void {
    const remove = this.events.on(name, listener as (event: unknown) => unknown);
    this.pump();
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
    return iterate(
      (listener) => this.on('message', listener),
      (end) => this.events.on('ended', end),
      () => this.close(),
    );
  }

  /** As the iterator of messages, with batches. */
  batches(): AsyncIterable<Batch<Payload>> {
    return {
      [Symbol.asyncIterator]: () =>
        iterate<Batch<Payload>>(
          (listener) => this.on('batch', listener),
          (end) => this.events.on('ended', end),
          () => this.close(),
        ),
    };
  }

  /** Ends the subscription. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.stopWaiting?.();
    this.queue = [];
    this.queued = 0;
    this.dependencies.closed(this as unknown as Subscription);
    void this.events.emit('ended', new ClientError('closed', 'the subscription was closed'));
  }

  // Calls of the client.

  /** @internal Begins: after a saved position, if the options name no other beginning. */
  start(saved: Position | undefined): void {
    const { since, last, getState } = this.options;
    const at = since ?? (last !== undefined || getState !== undefined ? undefined : saved);
    this.handledAt = at;
    this.stream = this.newStream(at, last);
  }

  /** @internal */
  get at(): Position | undefined {
    return this.stream?.position;
  }

  /** @internal */
  joining(): void {
    this.stream?.joining();
  }

  /** @internal */
  joined(end: Position, since: Position | undefined, recovered: boolean | undefined): void {
    const { last, getState } = this.options;
    // A page that is reloaded before its first message goes on where this one began.
    if (this.at === undefined && last === undefined && getState === undefined) this.moveTo(end);
    this.stream?.joined({ ...end, since, recovered });
    void this.events.emit('subscribed', end);
    if (this.isHeld && !this.isAsked) void this.loadState();
  }

  /** @internal */
  received(message: Message): void {
    this.stream?.message(message);
    if (this.stream?.isCollecting === true)
      this.stopWaiting ??= this.dependencies.later(() => {
        this.stopWaiting = undefined;
        this.stream?.hurry();
      }, missedWaitMs);
  }

  /** @internal */
  gap(gap: Position & { reason: string }): void {
    this.stream?.gap(gap);
  }

  /** @internal */
  disconnected(): void {
    this.stream?.disconnected();
  }

  /** @internal */
  presence(event: PresenceEvent): void {
    void this.events.emit('presence', event);
  }

  /** @internal */
  ended(error: ClientError): void {
    void this.events.emit('ended', error);
  }

  private newStream(at: Position | undefined, last?: number): TopicStream {
    const { readHistory } = this.dependencies;
    const stream: TopicStream = new TopicStream(
      {
        deliver: (messages, replayed) => stream === this.stream && this.deliver(messages, replayed),
        lost: (gap) => stream === this.stream && this.push({ gap }, 0),
        readHistory: (request) => readHistory(this.topic, stream, request),
      },
      this.topic,
      at,
      last,
    );
    return stream;
  }

  private deliver(messages: readonly Message[], replayed: boolean): void {
    if (this.isClosed) return;
    const given = (
      replayed ? messages.map((message) => ({ ...message, replayed })) : messages
    ) as readonly TopicMessage<Payload>[];
    this.push({ messages: given, replayed }, messages.length);
    if (this.queued > this.dependencies.bufferMax && !this.isBehind) {
      this.isBehind = true;
      this.stream?.pause();
    }
  }

  private push(item: Item, messages: number): void {
    this.queue.push(item);
    this.queued += messages;
    this.pump();
  }

  private hasConsumer(item: Item): boolean {
    const { events } = this;
    if (this.isHeld || this.isClosed) return false;
    return events.has('message') || events.has('batch') || ('state' in item && events.has('state'));
  }

  /** Hands over what waits, one after the other. Without promises of listeners, at once. */
  private pump(): void {
    if (this.isPumping) return;
    this.isPumping = true;
    while (this.queue.length > 0 && this.hasConsumer(this.queue[0]!)) {
      const pending = this.handOver(this.queue.shift()!);
      if (pending === undefined) continue;
      void pending.then(() => {
        this.isPumping = false;
        this.pump();
      });
      return;
    }
    this.isPumping = false;
    if (!this.isBehind || this.queued > this.dependencies.bufferMax / 2) return;
    this.isBehind = false;
    this.stream?.resume(this.dependencies.isJoined(this.topic));
  }

  private handOver(item: Item): Promise<unknown> | undefined {
    if ('state' in item) return this.events.emit('state', item.state as State);
    if ('messages' in item) return this.handOverBatch(item as Batch<Payload>);
    this.dependencies.onGap(item.gap);
    const pending = this.events.emit('gap', item.gap);
    this.moveTo(item.gap.to);
    if (this.options.getState !== undefined) void this.loadState();
    return pending;
  }

  private handOverBatch(batch: Batch<Payload>): Promise<unknown> | undefined {
    const pending = this.events.emit('batch', batch);
    const rest = () => this.handOverMessages(batch.messages, 0);
    return pending === undefined ? rest() : pending.then(rest);
  }

  private handOverMessages(
    messages: readonly TopicMessage<Payload>[],
    from: number,
  ): Promise<unknown> | undefined {
    for (let i = from; i < messages.length; i++) {
      if (this.isClosed) return undefined;
      const pending = this.events.emit('message', messages[i]!);
      if (pending !== undefined)
        return pending.then(() => {
          this.done(messages, i, i + 1);
          return this.handOverMessages(messages, i + 1);
        });
      if (i === messages.length - 1) this.done(messages, from, messages.length);
    }
    return undefined;
  }

  /** The listeners of some messages have returned. */
  private done(messages: readonly TopicMessage<Payload>[], from: number, to: number): void {
    if (this.isClosed) return;
    this.queued -= to - from;
    for (let i = from; i < to; i++)
      if (messages[i]!.confirm === true) this.dependencies.confirm(messages[i]!.id);
    this.moveTo(messages[to - 1]!);
  }

  /** The app has everything up to a position. */
  private moveTo({ epoch, sequence }: Position): void {
    this.handledAt = { epoch, sequence };
    this.dependencies.moved(this as unknown as Subscription);
  }

  /** Asks the app for its snapshot; the stream goes on behind it. */
  private async loadState(): Promise<void> {
    this.isHeld = this.isAsked = true;
    const { later, onError, wirePosition } = this.dependencies;
    for (let retryMs = stateRetryMs; !this.isClosed; retryMs = Math.min(retryMs * 2, stateRetryMaxMs)) {
      try {
        const { state, position } = await this.options.getState!();
        if (this.isClosed) return;
        if (position !== undefined) {
          this.queue = [];
          this.queued = 0;
          this.isBehind = false;
          this.handledAt = position;
          this.stream = this.newStream(position);
          this.stream.joining();
          const end = wirePosition(this.topic);
          if (end !== undefined) this.stream.joined({ ...end, since: undefined });
        }
        this.queue.unshift({ state });
        this.isHeld = false;
        return this.pump();
      } catch (cause) {
        onError(
          new ClientError('handler_failed', `getState of ${this.topic} has failed: ${String(cause)}`, {
            cause,
          }),
        );
        await new Promise<void>((resolve) => later(resolve, retryMs));
      }
    }
  }
}
