import { RefusalError } from '../../shared/errors.js';
import type { ChangeCount } from '../primitives/change-count.js';
import type { Clock, Timer } from '../primitives/clock.js';
import type { MailboxOverflow } from '../primitives/mailbox.js';
import type { Supervisor } from '../supervision/supervisor.js';
import type { AppendEntry, Broker, AppendReceipt } from '../log/broker.js';
import { encodeEntry } from '../log/entry.js';
import { MicroBatcher } from '../primitives/micro-batcher.js';
import { serviceLogPrefix, type PublishRequest } from '../log/publish-request.js';
import type { AdmittedPublish, PublishQuotas } from './publish-quotas.js';
import { TopicActor, type ActorHealth } from './topic-actor.js';

export interface TopicPublisherDependencies {
  readonly broker: Broker;
  readonly supervisor: Supervisor;
  /** The hook that receives each message before it is stored and may change it; undefined if there is none. */
  readonly onPublish?: (() => ((request: PublishRequest) => Promise<PublishRequest>) | undefined) | undefined;
  /** When publishes that arrive now should be appended; see the dependency of {@link TopicActor}. */
  readonly appendAt: (topic: string, leadMs: number) => number;
  /** What users may store; undefined: there are no limits. */
  readonly quotas?: Pick<PublishQuotas, 'admit'> | undefined;
  /** Changes of what decides who may publish. */
  readonly changes: Pick<ChangeCount, 'value'>;
  readonly clock: Clock;
}

export interface TopicPublisherSettings {
  readonly mailboxCapacity: number;
  readonly mailboxOverflow: MailboxOverflow;
  readonly batchMax: number;
  /** The same for messages that go through a hook; default: the same number. */
  readonly hookedBatchMax?: number;
  /** An actor without work is removed after this time, in milliseconds. */
  readonly actorIdleMs: number;
  /** Whether an idempotency key belongs to its topic and sender, or to its topic alone. */
  readonly idempotencyScope: 'sender' | 'topic';
}

/**
 * Appends of many topics start together, and what follows from them is done together too: calls of the store, answers
 * to publishers, and writes to subscribers. Each waits a little longer where a call serves several topics.
 */
const batchingOf = ({ sharesAppends }: Pick<Broker, 'sharesAppends'>) => ({
  lingerFromPerSec: 1000,
  tickMs: sharesAppends ? 4 : 3,
});

/**
 * With more actors than this, those without work are removed before their time, the longest idle ones first: each takes some
 * kilobytes, and one publisher can begin many thousands a second.
 */
const idleActorsMax = 10_000;

/** The publishing side of a replica: an actor for each topic with traffic appends its messages to the log. */
export class TopicPublisher {
  private readonly actors = new Map<string, TopicActor>();
  private readonly batcher: MicroBatcher;
  private readonly timer: Timer;
  /** With this many actors, idle ones are looked for. */
  private crowdedAt = idleActorsMax;

  constructor(
    private readonly dependencies: TopicPublisherDependencies,
    private readonly settings: TopicPublisherSettings,
  ) {
    this.batcher = new MicroBatcher(dependencies, batchingOf(dependencies.broker));
    this.timer = dependencies.clock.setInterval(() => this.dropIdle(), settings.actorIdleMs);
    this.timer.unref();
  }

  /** Rejects with RefusalError as {@link TopicActor.append} and {@link PublishQuotas.admit}. */
  publish(request: PublishRequest): Promise<AppendReceipt> {
    const known = this.actors.get(request.topic);
    let admitted: AdmittedPublish | undefined;
    try {
      admitted = this.dependencies.quotas?.admit(request, known?.hasStored === true);
    } catch (error) {
      return Promise.reject(error as Error);
    }
    // A topic to which nothing is admitted gets no actor.
    const stored = this.append(known ?? this.newActor(request.topic), request, admitted?.noNewTopic);
    if (admitted !== undefined) {
      const { settled } = admitted;
      stored.then(settled, () => settled(undefined));
    }
    return stored;
  }

  /** When the waiting publishes of a topic will be appended, on the monotonic clock; 0: at once. */
  appendAt(topic: string): number {
    return this.actors.get(topic)?.appendAt ?? 0;
  }

  /** Health of the actors of topics with traffic. */
  health(): Map<string, ActorHealth> {
    return new Map([...this.actors].map(([topic, actor]) => [topic, actor.health]));
  }

  /** Refuses everything that waits. Appends in progress keep their own outcome. */
  refuseWaiting(error: RefusalError): void {
    for (const actor of this.actors.values()) actor.refuseWaiting(error);
  }

  /** Resolves when no publish is in progress any more, or after the time limit. */
  async settle(limitMs: number): Promise<void> {
    const { clock } = this.dependencies;
    const until = clock.now() + limitMs;
    const isBusy = () => [...this.actors.values()].some((actor) => !actor.idle);
    while (isBusy() && clock.now() < until) await clock.sleep(5);
  }

  close(): void {
    this.dependencies.clock.clearTimer(this.timer);
    this.batcher.close();
  }

  private append(
    actor: TopicActor,
    request: PublishRequest,
    noNewTopic: AdmittedPublish['noNewTopic'],
  ): Promise<AppendReceipt> {
    const onPublish = this.hookOf(request.topic);
    const { recheck, trace } = request;
    const watch =
      recheck === undefined && trace === undefined ? undefined : { recheck, routed: trace?.routed };
    if (onPublish === undefined) return actor.append(this.appendEntry(request, noNewTopic), watch);
    return actor.append(async () => this.appendEntry(await onPublish(request), noNewTopic), watch);
  }

  /** Direct messages do not run the hook. */
  private hookOf(topic: string) {
    const onPublish = this.dependencies.onPublish?.();
    return onPublish === undefined || topic.startsWith(serviceLogPrefix) ? undefined : onPublish;
  }

  private appendEntry(request: PublishRequest, noNewTopic: AdmittedPublish['noNewTopic']): AppendEntry {
    const { id, topic, payloadJson, attachments, sender, confirmTo, key, trace } = request;
    const entry = encodeEntry({
      id,
      topic: topic.startsWith(serviceLogPrefix) ? undefined : topic,
      payloadJson,
      attachments,
      sender,
      timestamp: this.dependencies.clock.wallTime(),
      confirmTo,
      traced: trace !== undefined,
    });
    if (noNewTopic !== undefined) return { id, entry, noNewTopic, ...this.keyOf(request) };
    return key === undefined ? { id, entry } : { id, entry, ...this.keyOf(request) };
  }

  private keyOf({ key, sender }: PublishRequest): Pick<AppendEntry, 'key' | 'keyOwner'> {
    if (key === undefined) return {};
    // A user id is never empty: the keys of the service itself belong to ''.
    return this.settings.idempotencyScope === 'topic' ? { key } : { key, keyOwner: sender ?? '' };
  }

  private newActor(topic: string): TopicActor {
    if (this.actors.size >= this.crowdedAt) this.dropLongestIdle();
    const { broker, supervisor, appendAt, changes, clock } = this.dependencies;
    const { mailboxCapacity, mailboxOverflow: overflowStrategy, hookedBatchMax = Infinity } = this.settings;
    const isHooked = this.hookOf(topic) !== undefined;
    const batchMax = Math.min(this.settings.batchMax, isHooked ? hookedBatchMax : Infinity);
    const actor = new TopicActor(
      { broker, supervisor, appendAt, schedule: (start) => this.batcher.schedule(start), changes, clock },
      topic,
      { mailboxCapacity, overflowStrategy, batchMax },
    );
    this.actors.set(topic, actor);
    return actor;
  }

  private dropIdle(): void {
    const before = this.dependencies.clock.now() - this.settings.actorIdleMs;
    for (const [topic, actor] of this.actors) {
      if (actor.idle && actor.lastUsedAt < before) this.actors.delete(topic);
    }
  }

  /** Leaves half of the idle actors that may be kept, so that the next look is far off. */
  private dropLongestIdle(): void {
    const idle = [...this.actors.values()].filter((actor) => actor.idle);
    idle.sort((a, b) => b.lastUsedAt - a.lastUsedAt);
    for (const { topic } of idle.slice(idleActorsMax / 2)) this.actors.delete(topic);
    this.crowdedAt = Math.max(idleActorsMax, this.actors.size + idleActorsMax / 2);
  }
}
