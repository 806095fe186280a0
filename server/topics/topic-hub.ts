import { RefusalError } from '../../shared/errors.js';
import type { Position } from '../../shared/position.js';
import type { SubscriptionState } from '../fanout/active-topic.js';
import type { Subscriber } from '../fanout/subscriber.js';
import type { AppendReceipt, Batch, BrokerListener, BrokerState, LogEnd } from '../log/broker.js';
import { LogFeed, type Feed, type FeedSink, type GapSink } from '../log/feed.js';
import { readHistory, type History, type HistoryRequest } from '../log/history.js';
import { isPositionIn } from '../log/lineage.js';
import { readMissed, type Missed, type MissedRequest } from '../log/missed.js';
import type { PublishRequest } from '../log/publish-request.js';
import type { ChangeCount } from '../primitives/change-count.js';
import type { Connection } from '../protocol/connection.js';
import type { PublishQuotas } from '../publish/publish-quotas.js';
import {
  TopicPublisher,
  type TopicPublisherDependencies,
  type TopicPublisherSettings,
} from '../publish/publisher.js';
import type { Supervisor } from '../supervision/supervisor.js';
import {
  Activations,
  type Activation,
  type ActivationsDependencies,
  type ActivationsSettings,
  type ActiveTopicInfo,
} from './activations.js';
import { LogWatchers } from './log-watchers.js';
import { PositionChecks } from './position-checks.js';
import { recoveryFrom, type Recovery } from './recovery.js';
import type { ProvedPosition } from './start-position.js';
import type { Subscribed, Topics, Watch } from './topics.js';

interface TopicHubDependencies extends ActivationsDependencies {
  readonly supervisor: Supervisor;
  /** Receives each message before it is stored and may change it; undefined if there is no hook. */
  readonly onPublish?: TopicPublisherDependencies['onPublish'];
  /** What users may store; undefined: there are no limits. */
  readonly quotas?: Pick<PublishQuotas, 'admit'> | undefined;
  /** Changes of what decides who may publish. */
  readonly changes: Pick<ChangeCount, 'value'>;
}

interface TopicHubSettings extends TopicPublisherSettings, ActivationsSettings {
  readonly positionCheckMs: number;
}

/** Suggested delay for publishers that are refused because the log is unreachable, in milliseconds. */
const unavailableRetryMs = 1000;

/**
 * All topics of this replica: which are active, who publishes to them, and how they are read. Socket.IO's
 * rooms hold the subscribers; the hub follows the logs of rooms that are not empty.
 */
export class TopicHub implements Topics, BrokerListener {
  private readonly active: Activations;
  /** Logs that are followed without subscribers. */
  private readonly feeds = new Map<string, LogFeed>();
  private readonly watchers = new LogWatchers();
  private readonly positionChecks: PositionChecks;
  /** The publishing side of this replica. */
  readonly publisher: TopicPublisher;
  private closed = false;

  constructor(
    private readonly dependencies: TopicHubDependencies,
    settings: TopicHubSettings,
  ) {
    this.active = new Activations(dependencies, settings);
    dependencies.broker.setListener(this);
    const { broker, supervisor, onPublish, quotas, changes, clock, log } = dependencies;
    this.publisher = new TopicPublisher(
      { broker, supervisor, onPublish, appendAt: this.appendAt, quotas, changes, clock },
      settings,
    );
    this.positionChecks = new PositionChecks(
      { broker, feeds: () => this.followedLogs(), onCheck: () => this.watchers.notifyAll(), clock, log },
      { periodMs: settings.positionCheckMs },
    );
  }

  get counts(): Activations['counts'] {
    return this.active.counts;
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
      await this.active.opened(activation);
      const recovery =
        since === undefined
          ? undefined
          : (this.known(activation, connection, since) ??
            (await recoveryFrom(this.dependencies.broker, activation, since)));
      const subscriber = audience.connection(connection.id);
      if (subscriber === undefined) throw new RefusalError('conflict', 'the connection has closed');
      const isWanted = confirm();
      return this.join(activation, subscriber, isWanted ? recovery : undefined);
    } finally {
      activation.pending--;
      this.active.dropIfUnused(activation);
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
    for (const activation of this.active.all()) yield this.active.described(activation);
  }

  /** One of {@link activeTopics}. */
  activeTopic(name: string): ActiveTopicInfo | undefined {
    const activation = this.active.get(name);
    return activation === undefined ? undefined : this.active.described(activation);
  }

  /** The number of active topics, and of the subscriptions that are catching up. Takes no longer with more topics. */
  totals(): { readonly carried: number; readonly behind: number } {
    return this.active.totals();
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
      this.active.dropIfUnused(activation);
    };
    activation.pending++;
    try {
      await this.active.opened(activation);
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
    const activation = this.active.activate(topic);
    if (this.mayOpen(activation))
      this.active.opened(activation).catch(() => {
        // Tried again when the log is reachable.
      });
  }

  /** Whether this replica receives the live messages of a log. */
  isFollowed(topic: string): boolean {
    return this.active.has(topic) || this.feeds.has(topic);
  }

  onRoomDeleted(topic: string): void {
    const activation = this.active.get(topic);
    if (activation !== undefined) this.active.dropIfUnused(activation);
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
    for (const activation of this.active.all()) {
      if (!activation.feed.isOpen && this.mayOpen(activation)) this.active.opened(activation).catch(() => {});
    }
    void this.positionChecks.check(0);
  }

  /** Resolves when no publish is in progress any more, or after the time limit. */
  async settle(limitMs: number): Promise<void> {
    await this.publisher.settle(limitMs);
    this.active.flush();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.positionChecks.close();
    this.active.stopFlushes();
    this.publisher.close();
    this.active.close();
    for (const feed of this.feeds.values()) feed.close();
    this.feeds.clear();
  }

  /**
   * The topic, active from now on.
   *
   * @throws RefusalError `unavailable` if it is not yet and the log is unreachable: to activate it in vain, for each subscription that is tried
   * meanwhile, would take much memory
   */
  private activate(topic: string): Activation {
    const known = this.active.get(topic);
    if (known === undefined ? this.dependencies.broker.state === 'down' : !this.mayOpen(known))
      throw this.unavailable();
    return known ?? this.active.activate(topic);
  }

  /** Whether the log of a topic is followed already, or can be. */
  private mayOpen({ feed, opening }: Activation): boolean {
    return feed.isOpen || opening !== undefined || this.dependencies.broker.state !== 'down';
  }

  private followedLogs(): readonly LogFeed[] {
    return [...this.feeds.values(), ...Array.from(this.active.all(), ({ feed }) => feed)];
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
    const at = (recovered: boolean, missed: number): Subscribed => ({
      topic: topic.name,
      epoch,
      sequence,
      recovered,
      missed,
    });
    if (alreadyIn && recovery !== undefined && this.covers(activation, subscriber, recovery.since)) {
      topic.skipTo(subscriber.id, recovery.since);
      return at(true, sequence - topic.positionOf(subscriber.id).sequence);
    }
    if (recovery?.recovered === true && recovery.since.sequence < sequence) {
      const reader = topic.catchUpFrom(subscriber, recovery.since);
      if (!alreadyIn) audience.join(subscriber.id, topic.name);
      topic.beginsAt(subscriber.id, recovery.since);
      // After this turn, so that the answer to the command is sent first.
      this.dependencies.clock.setImmediate(() => reader.resumeWhenDrained());
      return at(true, sequence - recovery.since.sequence);
    }
    if (!alreadyIn) {
      audience.join(subscriber.id, topic.name);
      topic.beginsAt(subscriber.id, topic.written);
    }
    if (recovery === undefined) return { topic: topic.name, epoch, sequence };
    return at(recovery.recovered, recovery.recovered ? 0 : recovery.missed);
  }

  /**
   * The recovery of a connection that subscribes again and has everything after the position, or gets it; undefined: the log has to be read. A client
   * can ask for this any number of times while it reads nothing.
   */
  private known(activation: Activation, connection: Connection, since: ProvedPosition): Recovery | undefined {
    // What its client may have received, only the log knows.
    if (since.reached !== undefined) return undefined;
    const { audience } = this.dependencies;
    if (audience.members(activation.topic.name)?.has(connection.id) !== true) return undefined;
    return this.covers(activation, connection, since) ? { since, recovered: true, missed: 0 } : undefined;
  }

  /** Whether a subscriber has everything after a position on its connection, or gets it. */
  private covers({ topic, feed }: Activation, { id }: Pick<Connection, 'id'>, since: Position): boolean {
    return isPositionIn(feed.position, since) && topic.covers(id, since);
  }

  /** When publishes of a topic should be appended, so that they come in time for a flush here. */
  private readonly appendAt = (topic: string, leadMs: number): number =>
    this.active.get(topic)?.topic.appendAt(leadMs) ?? 0;

  private unavailable(): RefusalError {
    return new RefusalError('unavailable', 'the message log is unreachable', {
      retryAfterMs: unavailableRetryMs,
    });
  }
}
