import { encodeEntry } from '../../server/log/entry.js';
import type { Broker } from '../../server/log/broker.js';
import { LogFeed } from '../../server/log/feed.js';
import { silentLog } from '../../server/logging/log.js';
import { ActiveTopic, type OutboxOverflow } from '../../server/fanout/active-topic.js';
import { newDeliveryCounts } from '../../server/fanout/delivery-counts.js';
import { Flusher } from '../../server/fanout/flusher.js';
import { LogBlocks } from '../../server/fanout/log-blocks.js';
import { SendBufferBudget, type OutboxSettings } from '../../server/fanout/outbox.js';
import type { Audience } from '../../server/fanout/subscriber.js';
import type { Wire } from '../../server/protocol/connection.js';
import { DeliveryRecord } from '../../server/tracing/delivery-record.js';
import type { DeliveryTracer } from '../../server/tracing/message-tracer.js';
import { epochAt, isPositionIn } from '../../server/log/lineage.js';
import { FakeClock } from './fake-clock.js';
import { FakeSubscriber } from './fake-subscriber.js';
import { ScriptedLog } from './scripted-log.js';

/** A topic with its log and feed. */
export interface HarnessTopic {
  readonly name: string;
  readonly log: ScriptedLog;
  readonly feed: LogFeed;
  readonly active: ActiveTopic;
}

export interface FanOutHarnessSettings {
  readonly overflow: OutboxOverflow;
  readonly outbox: OutboxSettings;
  readonly payloadBytes: number;
}

const noTrace: DeliveryTracer = { queued() {}, delivered() {}, lost() {}, caughtUp() {} };

/**
 * The fan-out of a replica, from the logs to the clients, on a fake clock: real topics, outboxes and flusher
 * between scripted ends.
 */
export class FanOutHarness {
  readonly clock = new FakeClock();
  readonly budget: SendBufferBudget;
  readonly counts = newDeliveryCounts();
  readonly record = new DeliveryRecord({ now: () => this.clock.wallTime() });
  readonly topics = new Map<string, HarnessTopic>();
  readonly subscribers = new Map<string, FakeSubscriber>();
  private readonly rooms = new Map<string, Set<string>>();
  private readonly flusher: Flusher;
  private readonly blocks: LogBlocks;

  constructor(private readonly settings: FanOutHarnessSettings) {
    const { clock } = this;
    this.budget = new SendBufferBudget({ clock }, settings.outbox);
    this.flusher = new Flusher({ clock, utilization: () => 0 });
    this.blocks = new LogBlocks(this.broker, 1_000_000);
  }

  async addTopic(name: string): Promise<HarnessTopic> {
    const { clock, counts, blocks, flusher } = this;
    const log = new ScriptedLog(name, (epoch, sequence) => this.entry(name, epoch, sequence));
    const active = new ActiveTopic(
      {
        audience: this.audience,
        blocks,
        counts,
        acks: { expectAcks() {}, nextAckId: () => 1 },
        onDelivered: () => {},
        tracer: noTrace,
        record: this.record,
        clock,
        log: silentLog,
        catchingUp: new Set(),
        schedule: flusher.schedule,
        share: flusher.share,
        onOtherLog: (_topic, end) => feed.check(end),
      },
      name,
      { window: { windowMs: 5, maxWindowMs: 100 }, overflow: this.settings.overflow },
    );
    const feed = new LogFeed({ broker: log.broker, log: silentLog, clock }, name, active, { sparse: false });
    const topic = { name, log, feed, active };
    this.topics.set(name, topic);
    this.rooms.set(name, new Set());
    await feed.open((position) => active.startAt(position));
    return topic;
  }

  addSubscriber(
    id: string,
    wire: Wire = 'socketio',
    transport: 'websocket' | 'polling' = 'websocket',
  ): FakeSubscriber {
    const subscriber = new FakeSubscriber(this, id, wire, transport);
    this.subscribers.set(id, subscriber);
    subscriber.isContinued = (topic, at, next) => this.topics.get(topic)!.log.isContinued(at, next);
    subscriber.onDisconnect = () => {
      for (const topic of this.topics.values()) this.leave(subscriber, topic);
    };
    return subscriber;
  }

  isMember(subscriber: FakeSubscriber, topic: HarnessTopic): boolean {
    return this.rooms.get(topic.name)!.has(subscriber.id);
  }

  /**
   * Subscribes as the topic hub does. With `missed`, it has missed this many messages, and gets them first if
   * the log has them all.
   */
  join(subscriber: FakeSubscriber, topic: HarnessTopic, missed = 0): void {
    const { active, log } = topic;
    active.flush();
    const { written } = active;
    const sequence = Math.max(0, written.sequence - missed);
    const recovers = missed > 0 && sequence + 1 >= log.end.firstSequence && sequence < written.sequence;
    this.rooms.get(topic.name)!.add(subscriber.id);
    if (!recovers) {
      active.beginsAt(subscriber.id, written);
      subscriber.startAt(topic.name, written);
      return;
    }
    const since = { epoch: epochAt(topic.feed.position, sequence), sequence };
    subscriber.startAt(topic.name, since);
    const reader = active.catchUpFrom(subscriber, since);
    active.beginsAt(subscriber.id, since);
    this.clock.setImmediate(() => reader.resumeWhenDrained());
  }

  /**
   * Subscribes a member again, `back` messages before the position of its client, as the topic hub does where nothing
   * has to be repeated. False if something has to.
   */
  again(subscriber: FakeSubscriber, { name, active, feed }: HarnessTopic, back = 0): boolean {
    const at = subscriber.positions.get(name)!;
    const since = back === 0 ? at : { epoch: at.epoch, sequence: Math.max(0, at.sequence - back) };
    if (!isPositionIn(feed.position, since) || !active.covers(subscriber.id, since)) return false;
    active.skipTo(subscriber.id, since);
    return true;
  }

  leave(subscriber: FakeSubscriber, topic: HarnessTopic): void {
    this.rooms.get(topic.name)!.delete(subscriber.id);
    topic.active.left(subscriber.id);
    subscriber.positions.delete(topic.name);
  }

  /** Simulates that the transport of a subscriber has closed. */
  closeSubscriber(subscriber: FakeSubscriber): void {
    subscriber.transport.close();
    subscriber.outbox.close();
    for (const topic of this.topics.values()) this.leave(subscriber, topic);
    this.subscribers.delete(subscriber.id);
  }

  publish(topic: HarnessTopic, count = 1): void {
    topic.feed.onBatch(topic.log.append(count));
  }

  /** Lets the clients check what they have read. */
  takeReceived(): void {
    for (const subscriber of this.subscribers.values()) subscriber.takeReceived();
  }

  close(): void {
    this.flusher.close();
    this.budget.close();
    for (const { active, feed } of this.topics.values()) {
      active.close();
      feed.close();
    }
  }

  private get broker(): Broker {
    const read: Broker['read'] = (topic, after, limit) =>
      this.topics.get(topic)!.log.broker.read(topic, after, limit);
    return { read } as Broker;
  }

  private get audience(): Audience {
    return {
      members: (topic) => this.rooms.get(topic),
      topicsOf: (id) => [...this.rooms].filter(([, members]) => members.has(id)).map(([name]) => name),
      connection: (id) => this.subscribers.get(id),
      join: (id, topic) => void this.rooms.get(topic)?.add(id),
      leave: (id, topic) => void this.rooms.get(topic)?.delete(id),
    };
  }

  private entry(topic: string, epoch: string, sequence: number): Buffer {
    return encodeEntry({
      id: '01890000-0000-7000-8000-000000000000',
      topic,
      payloadJson: JSON.stringify(`${epoch}:${sequence} ${'x'.repeat(this.settings.payloadBytes)}`),
      attachments: [],
      sender: null,
      timestamp: this.clock.wallTime(),
    });
  }
}
