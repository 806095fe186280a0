import type { Position } from '../../shared/position.js';
import { ActiveTopic, type AckCollector, type OutboxOverflow } from '../fanout/active-topic.js';
import { newDeliveryCounts } from '../fanout/delivery-counts.js';
import { Flusher } from '../fanout/flusher.js';
import type { FlushWindowSettings } from '../fanout/flush-window.js';
import { LogBlocks } from '../fanout/log-blocks.js';
import type { Audience } from '../fanout/subscriber.js';
import type { Broker } from '../log/broker.js';
import { LogFeed } from '../log/feed.js';
import type { Log } from '../logging/log.js';
import type { Clock } from '../primitives/clock.js';
import type { LoopMeter } from '../primitives/loop-meter.js';
import type { DeliveryRecord } from '../tracing/delivery-record.js';
import type { DeliveryTracer } from '../tracing/message-tracer.js';

export interface ActivationsDependencies {
  readonly broker: Broker;
  readonly audience: Audience;
  readonly acks: AckCollector;
  /** Called with each flush: milliseconds from the acceptance of its oldest message. */
  readonly onDelivered: (latencyMs: number) => void;
  readonly tracer: DeliveryTracer;
  /** Remembers what happened to subscribers. */
  readonly record?: DeliveryRecord | undefined;
  readonly log: Log;
  readonly clock: Clock;
  /** How busy the event loop is. */
  readonly utilization: LoopMeter;
}

export interface ActivationsSettings {
  /** How long messages of a topic gather before they are written. */
  readonly windowOf: (topic: string) => FlushWindowSettings;
  readonly outboxOverflow: OutboxOverflow;
  readonly blockCacheBytes: number;
}

/** An active topic as operators see it. */
export interface ActiveTopicInfo {
  readonly name: string;
  readonly subscribers: number;
  /** Those that are catching up. */
  readonly behind: number;
  readonly position: Position;
}

/** An active topic with the feed that supplies it. */
export interface Activation {
  readonly topic: ActiveTopic;
  readonly feed: LogFeed;
  /** Its subscribers. A room that has become empty is no longer the one of the topic. */
  room: ReadonlySet<string> | undefined;
  opening: Promise<void> | undefined;
  /** Subscriptions in progress. While there are some, the topic stays active. */
  pending: number;
}

/** The active topics of this replica: those with subscribers, or with subscriptions in progress. */
export class Activations {
  readonly counts = newDeliveryCounts();
  private readonly active = new Map<string, Activation>();
  private readonly catchingUp = new Set<ActiveTopic>();
  private readonly flusher: Flusher;
  private readonly blocks: LogBlocks;

  constructor(
    private readonly dependencies: ActivationsDependencies,
    private readonly settings: ActivationsSettings,
  ) {
    this.flusher = new Flusher(dependencies);
    this.blocks = new LogBlocks(dependencies.broker, settings.blockCacheBytes);
  }

  get(topic: string): Activation | undefined {
    return this.active.get(topic);
  }

  has(topic: string): boolean {
    return this.active.has(topic);
  }

  all(): Iterable<Activation> {
    return this.active.values();
  }

  /** The topic, active from now on. Its feed is opened by {@link opened}. */
  activate(topic: string): Activation {
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
      { window: settings.windowOf(topic), overflow: settings.outboxOverflow },
    );
    const feed = new LogFeed({ broker, log, clock }, topic, activeTopic, { sparse: false });
    const activation = { topic: activeTopic, feed, room: undefined, opening: undefined, pending: 0 };
    this.active.set(topic, activation);
    return activation;
  }

  /** Resolves when the log of the topic is followed. Callers at the same time share one attempt. */
  opened(activation: Activation): Promise<void> {
    if (activation.feed.isOpen) return Promise.resolve();
    activation.opening ??= this.open(activation).finally(() => {
      activation.opening = undefined;
    });
    return activation.opening;
  }

  private async open({ feed, topic }: Activation): Promise<void> {
    await feed.open((position) => topic.startAt(position));
  }

  dropIfUnused(activation: Activation): void {
    const { name } = activation.topic;
    if (activation.pending > 0 || (this.dependencies.audience.members(name)?.size ?? 0) > 0) return;
    if (this.active.get(name) !== activation) return;
    this.active.delete(name);
    this.flusher.forget(activation.topic);
    this.blocks.forget(name);
    activation.topic.close();
    activation.feed.close();
  }

  described(activation: Activation): ActiveTopicInfo {
    const { topic, feed } = activation;
    // Looking a room up by its name takes most of the time of a walk over very many topics.
    if (activation.room === undefined || activation.room.size === 0)
      activation.room = this.dependencies.audience.members(topic.name);
    const { epoch, sequence } = feed.position;
    const subscribers = activation.room?.size ?? 0;
    return { name: topic.name, subscribers, behind: topic.behind, position: { epoch, sequence } };
  }

  /** The number of active topics, and of the subscriptions that are catching up. Takes no longer with more topics. */
  totals(): { readonly carried: number; readonly behind: number } {
    let behind = 0;
    for (const topic of this.catchingUp) behind += topic.behind;
    return { carried: this.active.size, behind };
  }

  /** Writes what gathers. */
  flush(): void {
    for (const { topic } of this.active.values()) topic.flush();
  }

  /** No flush is started by itself any more. */
  stopFlushes(): void {
    this.flush();
    this.flusher.close();
  }

  close(): void {
    for (const { topic, feed } of this.active.values()) {
      topic.close();
      feed.close();
    }
    this.active.clear();
  }
}
