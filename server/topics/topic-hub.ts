import { RefusalError } from '../../shared/errors.js';
import type { Position } from '../../shared/position.js';
import type { Supervisor } from '../supervision/supervisor.js';
import type { Log } from '../logging/log.js';
import type { ChangeCount } from '../primitives/change-count.js';
import type { Clock, Timer } from '../primitives/clock.js';
import type { LoopMeter } from '../primitives/loop-meter.js';
import type { DeliveryRecord } from '../tracing/delivery-record.js';
import type { DeliveryTracer } from '../tracing/message-tracer.js';
import type { Connection } from '../protocol/connection.js';
import type { Audience, Subscriber } from '../fanout/subscriber.js';
import type { Batch, Broker, BrokerListener, BrokerState, LogEnd, AppendReceipt } from '../log/broker.js';
import {
  ActiveTopic,
  type AckCollector,
  type OutboxOverflow,
  type SubscriptionState,
} from '../fanout/active-topic.js';
import { newDeliveryCounts } from '../fanout/delivery-counts.js';
import { LogFeed, type Feed, type FeedSink, type GapSink } from '../log/feed.js';
import { Flusher } from '../fanout/flusher.js';
import type { FlushWindowSettings } from '../fanout/flush-window.js';
import { isPositionIn } from '../log/lineage.js';
import { LogBlocks } from '../fanout/log-blocks.js';
import { readHistory, type History, type HistoryRequest } from '../log/history.js';
import { readMissed, type Missed, type MissedRequest } from '../log/missed.js';
import {
  TopicPublisher,
  type TopicPublisherDependencies,
  type TopicPublisherSettings,
} from '../publish/publisher.js';
import type { PublishQuotas } from '../publish/publish-quotas.js';
import { LogWatchers } from './log-watchers.js';
import { hasReached, isHopeless, type ProvedPosition } from './start-position.js';
import type { Subscribed, Topics, Watch } from './topics.js';
import type { PublishRequest } from '../log/publish-request.js';

interface TopicHubDependencies {
  readonly broker: Broker;
  readonly audience: Audience;
  readonly acks: AckCollector;
  readonly supervisor: Supervisor;
  /** Receives each message before it is stored and may change it; undefined if there is no hook. */
  readonly onPublish?: TopicPublisherDependencies['onPublish'];
  /** Called with each flush: milliseconds from the acceptance of its oldest message. */
  readonly onDelivered: (latencyMs: number) => void;
  /** What users may store; undefined: there are no limits. */
  readonly quotas?: Pick<PublishQuotas, 'admit'> | undefined;
  /** Changes of what decides who may publish. */
  readonly changes: Pick<ChangeCount, 'value'>;
  readonly tracer: DeliveryTracer;
  /** Remembers what happened to subscribers. */
  readonly record?: DeliveryRecord | undefined;
  readonly log: Log;
  readonly clock: Clock;
  /** How busy the event loop is. */
  readonly utilization: LoopMeter;
}

interface TopicHubSettings extends TopicPublisherSettings {
  /** How long messages of a topic gather before they are written. */
  readonly windowOf: (topic: string) => FlushWindowSettings;
  readonly positionCheckMs: number;
  readonly outboxOverflow: OutboxOverflow;
  readonly blockCacheBytes: number;
}

/** An active topic as operators see it. */
interface ActiveTopicInfo {
  readonly name: string;
  readonly subscribers: number;
  /** Those that are catching up. */
  readonly behind: number;
  readonly position: Position;
}

/** An active topic with the feed that supplies it. */
interface Activation {
  readonly topic: ActiveTopic;
  readonly feed: LogFeed;
  /** Its subscribers. A room that has become empty is no longer the one of the topic. */
  room: ReadonlySet<string> | undefined;
  opening: Promise<void> | undefined;
  /** Subscriptions in progress. While there are some, the topic stays active. */
  pending: number;
}

/** Suggested delay for publishers that are refused because the log is unreachable, in milliseconds. */
const unavailableRetryMs = 1000;

/**
 * All topics of this replica: which are active, who publishes to them, and how they are read. Socket.IO's
 * rooms hold the subscribers; the hub follows the logs of rooms that are not empty.
 */
export class TopicHub implements Topics, BrokerListener {
  readonly counts = newDeliveryCounts();
  private readonly active = new Map<string, Activation>();
  private readonly catchingUp = new Set<ActiveTopic>();
  private readonly feeds = new Map<string, LogFeed>();
  private readonly flusher: Flusher;
  private readonly blocks: LogBlocks;
  private readonly watchers = new LogWatchers();
  /** The publishing side of this replica. */
  readonly publisher: TopicPublisher;
  private readonly timer: Timer;
  private closed = false;

  constructor(
    private readonly dependencies: TopicHubDependencies,
    private readonly settings: TopicHubSettings,
  ) {
    this.flusher = new Flusher(dependencies);
    this.blocks = new LogBlocks(dependencies.broker, settings.blockCacheBytes);
    dependencies.broker.setListener(this);
    const { broker, supervisor, onPublish, quotas, changes, clock } = dependencies;
    this.publisher = new TopicPublisher(
      { broker, supervisor, onPublish, appendAt: this.appendAt, quotas, changes, clock },
      settings,
    );
    const { positionCheckMs } = settings;
    this.timer = clock.setInterval(() => void this.checkPositions(positionCheckMs), positionCheckMs);
    this.timer.unref();
  }

  // Publishing.

  // Not `async`, like what it calls: each layer would cost every publish two promises more.
  publish(request: PublishRequest): Promise<AppendReceipt> {
    if (this.dependencies.broker.state === 'down') return Promise.reject(this.unavailable());
    return this.publisher.publish(request);
  }

  // Subscribing.

  async subscribe(
    connection: Connection,
    topic: string,
    since: ProvedPosition | undefined,
    confirm: () => boolean,
  ): Promise<Subscribed> {
    const { audience } = this.dependencies;
    const activation = this.activate(topic);
    activation.pending++;
    try {
      await this.opened(activation);
      const recovery = since === undefined ? undefined : await this.recoverable(activation, since);
      const subscriber = audience.connection(connection.id);
      if (subscriber === undefined) throw new RefusalError('conflict', 'the connection has closed');
      const isWanted = confirm();
      return this.join(activation, subscriber, isWanted ? recovery : undefined);
    } finally {
      activation.pending--;
      this.dropIfUnused(activation);
    }
  }

  unsubscribe(connection: Connection, topic: string): boolean {
    const { audience } = this.dependencies;
    const subscribed = audience.members(topic)?.has(connection.id) ?? false;
    if (subscribed) audience.leave(connection.id, topic);
    return subscribed;
  }

  topicsOf(connection: Connection): Iterable<string> {
    return this.dependencies.audience.topicsOf(connection.id);
  }

  positions(connection: Connection): Map<string, Position> {
    const positions = new Map<string, Position>();
    for (const topic of this.dependencies.audience.topicsOf(connection.id)) {
      const activation = this.active.get(topic);
      if (activation?.feed.isOpen) positions.set(topic, activation.topic.positionOf(connection.id));
    }
    return positions;
  }

  /** How far a subscriber is; undefined: it is not subscribed. Its position is undefined while the log has not been reached. */
  subscriptionOf(
    { id }: Pick<Connection, 'id'>,
    topic: string,
  ): (Omit<SubscriptionState, 'reached'> & { readonly reached: Position | undefined }) | undefined {
    if (this.dependencies.audience.members(topic)?.has(id) !== true) return undefined;
    const activation = this.active.get(topic);
    if (activation === undefined) return { start: undefined, reached: undefined, state: 'live' };
    const state = activation.topic.subscription(id);
    return activation.feed.isOpen ? state : { ...state, reached: undefined };
  }

  *subscribers(topic: string): Iterable<Subscriber> {
    const { audience } = this.dependencies;
    for (const id of audience.members(topic) ?? []) {
      const subscriber = audience.connection(id);
      if (subscriber !== undefined) yield subscriber;
    }
  }

  /** Topics with subscribers on this replica, each with the number of subscribers that are catching up. */
  *activeTopics(): Iterable<ActiveTopicInfo> {
    for (const activation of this.active.values()) yield this.described(activation);
  }

  /** One of {@link activeTopics}. */
  activeTopic(name: string): ActiveTopicInfo | undefined {
    const activation = this.active.get(name);
    return activation === undefined ? undefined : this.described(activation);
  }

  /** The number of active topics, and of the subscriptions that are catching up. Takes no longer with more topics. */
  totals(): { readonly carried: number; readonly behind: number } {
    let behind = 0;
    for (const topic of this.catchingUp) behind += topic.behind;
    return { carried: this.active.size, behind };
  }

  private described(activation: Activation): ActiveTopicInfo {
    const { topic, feed } = activation;
    // Looking a room up by its name takes most of the time of a walk over very many topics.
    if (activation.room === undefined || activation.room.size === 0)
      activation.room = this.dependencies.audience.members(topic.name);
    const { epoch, sequence } = feed.position;
    const subscribers = activation.room?.size ?? 0;
    return { name: topic.name, subscribers, behind: topic.behind, position: { epoch, sequence } };
  }

  // Reading.

  history(topic: string, request: HistoryRequest): Promise<History> {
    return readHistory(this.dependencies.broker, topic, request);
  }

  missed(topics: readonly string[], request: MissedRequest): Promise<Missed> {
    return readMissed(this.dependencies.broker, topics, request);
  }

  async follow(topic: string, sink: FeedSink, onGap: GapSink): Promise<Feed> {
    const { broker, log, clock } = this.dependencies;
    if (this.feeds.has(topic)) throw new Error(`log ${topic} is followed already`);
    const feed = new LogFeed({ broker, log, clock }, topic, { deliver: sink, gap: onGap }, { sparse: true });
    this.feeds.set(topic, feed);
    const close = () => {
      feed.close();
      if (this.feeds.get(topic) === feed) this.feeds.delete(topic);
    };
    let openedAt: LogEnd | undefined;
    try {
      openedAt = await feed.open();
    } catch (error) {
      close();
      throw error;
    }
    return {
      openedAt,
      get position() {
        return feed.position;
      },
      close,
    };
  }

  async watch(topic: string, moved: () => void): Promise<Watch> {
    const activation = this.activate(topic);
    const release = () => {
      activation.pending--;
      this.dropIfUnused(activation);
    };
    activation.pending++;
    try {
      await this.opened(activation);
    } catch (error) {
      release();
      throw error;
    }
    const forget = this.watchers.add(topic, moved);
    let isOver = false;
    const close = () => {
      if (isOver) return;
      isOver = true;
      forget();
      release();
    };
    return { position: activation.feed.position, close };
  }

  // Calls from the rooms.

  /** A room has its first member: activates the topic. */
  onRoomCreated(topic: string): void {
    const activation = this.activate(topic);
    this.opened(activation).catch(() => {
      // Tried again when the log is reachable.
    });
  }

  /** Whether this replica receives the live messages of a log. */
  isFollowed(topic: string): boolean {
    return this.active.has(topic) || this.feeds.has(topic);
  }

  onRoomDeleted(topic: string): void {
    const activation = this.active.get(topic);
    if (activation !== undefined) this.dropIfUnused(activation);
  }

  onLeft(topic: string, id: string): void {
    this.active.get(topic)?.topic.left(id);
  }

  // Calls from the broker.

  onBatch(batch: Batch): void {
    (this.active.get(batch.topic)?.feed ?? this.feeds.get(batch.topic))?.onBatch(batch);
    this.watchers.notify(batch.topic);
  }

  onState(state: BrokerState): void {
    if (state === 'up') return;
    this.publisher.refuseWaiting(this.unavailable());
  }

  onResync(): void {
    for (const activation of this.active.values()) {
      if (!activation.feed.isOpen) this.opened(activation).catch(() => {});
    }
    void this.checkPositions(0);
  }

  /** Resolves when no publish is in progress any more, or after the time limit. */
  async settle(limitMs: number): Promise<void> {
    await this.publisher.settle(limitMs);
    for (const { topic } of this.active.values()) topic.flush();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.dependencies.clock.clearTimer(this.timer);
    for (const { topic } of this.active.values()) topic.flush();
    this.flusher.close();
    this.publisher.close();
    for (const { topic, feed } of this.active.values()) {
      topic.close();
      feed.close();
    }
    for (const feed of this.feeds.values()) feed.close();
    this.active.clear();
    this.feeds.clear();
  }

  private activate(topic: string): Activation {
    const known = this.active.get(topic);
    if (known !== undefined) return known;
    const { audience, broker, log, acks, onDelivered, tracer, record, clock } = this.dependencies;
    const { settings } = this;
    const activeTopic = new ActiveTopic(
      {
        audience,
        blocks: this.blocks,
        counts: this.counts,
        acks,
        onDelivered,
        tracer,
        record,
        clock,
        log,
        catchingUp: this.catchingUp,
        schedule: this.flusher.schedule,
        share: this.flusher.share,
        onOtherLog: (name, end) => this.active.get(name)?.feed.check(end),
      },
      topic,
      {
        window: settings.windowOf(topic),
        overflow: settings.outboxOverflow,
      },
    );
    const feed = new LogFeed({ broker, log, clock }, topic, activeTopic, { sparse: false });
    const activation: Activation = {
      topic: activeTopic,
      feed,
      room: undefined,
      opening: undefined,
      pending: 0,
    };
    this.active.set(topic, activation);
    return activation;
  }

  private opened(activation: Activation): Promise<void> {
    if (activation.feed.isOpen) return Promise.resolve();
    activation.opening ??= this.open(activation).finally(() => {
      activation.opening = undefined;
    });
    return activation.opening;
  }

  private async open(activation: Activation): Promise<void> {
    this.requireLog();
    await activation.feed.open((position) => activation.topic.startAt(position));
  }

  private dropIfUnused(activation: Activation): void {
    const { name } = activation.topic;
    if (activation.pending > 0 || (this.dependencies.audience.members(name)?.size ?? 0) > 0) return;
    if (this.active.get(name) !== activation) return;
    this.active.delete(name);
    this.flusher.forget(activation.topic);
    this.blocks.forget(name);
    activation.topic.close();
    activation.feed.close();
  }

  /** Whether everything after `since` can still be read, and the number of those messages. */
  private async recoverable(activation: Activation, since: ProvedPosition): Promise<Recovery> {
    const { written } = activation.topic;
    const { reached } = since;
    if (reached === undefined && since.epoch === written.epoch && since.sequence === written.sequence) {
      return { since, recovered: true, missed: 0 };
    }
    if (isHopeless(since, written)) {
      return { since, recovered: false, missed: written.sequence };
    }
    const { end } = await this.dependencies.broker.read(activation.topic.name, since.sequence, 1);
    const isInside = isPositionIn(end, since) && (reached === undefined || hasReached(end, reached));
    if (!isInside) return { since, recovered: false, missed: lostAtLeast(end) };
    // The client was served by a replica that is ahead of this one. Its messages must not come again.
    if (since.sequence > written.sequence || end.epoch !== written.epoch) await activation.feed.reach(end);
    // The log may have been lost since it was read.
    const { position } = activation.feed;
    if (!isPositionIn(position, since)) return { since, recovered: false, missed: position.sequence };
    const recovered = since.sequence + 1 >= end.firstSequence;
    return { since, recovered, missed: end.sequence - since.sequence };
  }

  /**
   * Joins within one turn, so that no message can be lost between the read from the log and the live
   * messages.
   */
  private join(activation: Activation, subscriber: Subscriber, recovery: Recovery | undefined): Subscribed {
    const { topic } = activation;
    const { audience } = this.dependencies;
    const alreadyIn = audience.members(topic.name)?.has(subscriber.id) ?? false;
    // A client that gives a position may have what is still pending here.
    if (!alreadyIn || recovery !== undefined) topic.flush();
    const { epoch, sequence } = topic.written;
    const at = { topic: topic.name, epoch, sequence };
    if (alreadyIn && recovery !== undefined && this.covers(activation, subscriber, recovery.since)) {
      topic.skipTo(subscriber.id, recovery.since);
      return { ...at, recovered: true, missed: sequence - topic.positionOf(subscriber.id).sequence };
    }
    if (recovery?.recovered === true && recovery.since.sequence < sequence) {
      const reader = topic.catchUpFrom(subscriber, recovery.since);
      if (!alreadyIn) audience.join(subscriber.id, topic.name);
      topic.beginsAt(subscriber.id, recovery.since);
      // After this turn, so that the answer to the command is sent first.
      this.dependencies.clock.setImmediate(() => reader.resumeWhenDrained());
      return { ...at, recovered: true, missed: sequence - recovery.since.sequence };
    }
    if (!alreadyIn) {
      audience.join(subscriber.id, topic.name);
      topic.beginsAt(subscriber.id, topic.written);
    }
    if (recovery === undefined) return at;
    return { ...at, recovered: recovery.recovered, missed: recovery.recovered ? 0 : recovery.missed };
  }

  /** Whether a subscriber has everything after a position on its connection, or gets it. */
  private covers({ topic, feed }: Activation, { id }: Subscriber, since: Position): boolean {
    return isPositionIn(feed.position, since) && topic.covers(id, since);
  }

  /** When publishes of a topic should be appended, so that they come in time for a flush here. */
  private readonly appendAt = (topic: string, leadMs: number): number =>
    this.active.get(topic)?.topic.appendAt(leadMs) ?? 0;

  /** Compares the positions of quiet followed logs with the ends of their logs. */
  private async checkPositions(quietMs: number): Promise<void> {
    // Batches may have been lost, or the log of a quiet topic be another one.
    this.watchers.notifyAll();
    const before = this.dependencies.clock.now() - quietMs;
    const feeds = [...this.feeds.values(), ...[...this.active.values()].map(({ feed }) => feed)];
    const quiet = feeds.filter((feed) => feed.isOpen && feed.lastTraffic <= before);
    for (let i = 0; i < quiet.length; i += 500) {
      await Promise.all(quiet.slice(i, i + 500).map((feed) => this.checkPosition(feed)));
      if (this.dependencies.broker.state === 'down') return;
    }
  }

  /** Each by itself: a log that cannot be read does not stop the check of others. */
  private async checkPosition(feed: LogFeed): Promise<void> {
    try {
      const [end] = await this.dependencies.broker.ends([feed.topic]);
      feed.check(end!);
    } catch (error) {
      this.dependencies.log.debug('Position not checked', { topic: feed.topic, error });
    }
  }

  private requireLog(): void {
    if (this.dependencies.broker.state === 'down') throw this.unavailable();
  }

  private unavailable(): RefusalError {
    return new RefusalError('unavailable', 'the message log is unreachable', {
      retryAfterMs: unavailableRetryMs,
    });
  }
}

interface Recovery {
  readonly since: Position;
  readonly recovered: boolean;
  readonly missed: number;
}

/**
 * A position of another log does not show how many messages were missed. The number of messages in this log
 * is the least.
 */
function lostAtLeast(end: LogEnd): number {
  return end.sequence;
}
