import { RefusalError, toWireError } from '../../shared/errors.js';
import { TokenBucket } from '../primitives/token-bucket.js';
import { beginningOf } from '../protocol/name.js';
import type { SpanSink } from './span-sink.js';
import type { TraceEvent, TraceStage, TraceStart } from './trace-event.js';
import { TraceRing } from './trace-ring.js';
import type { TraceRules } from './trace-rules.js';

/** The sender of a message: a connection. */
interface TraceCaller {
  readonly id: string;
  readonly wire: string;
  readonly identity: { readonly userId: string };
}

/** The details of a stored message in its trace. */
interface TracedReceipt {
  readonly id: string;
  readonly epoch: string;
  readonly sequence: number;
  readonly durability: string;
  readonly duplicate: boolean;
  readonly receivers?: number;
}

interface MessageTracerDependencies {
  readonly rules: Pick<TraceRules, 'size' | 'has'>;
  readonly replicaId: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Monotonic, in milliseconds. */
  readonly monotonicNow: () => number;
}

interface MessageTracerSettings {
  /** Messages sampled per second; 0 for none. */
  readonly samplePerSec: number;
  /** At most this many messages per second are traced on request of an operator or of their sender. */
  readonly forcedPerSec: number;
  /** At most this many of them on request of one sender. */
  readonly userForcedPerSec: number;
  /** Number of events kept. */
  readonly ringSize: number;
}

interface TraceCounts {
  sampled: number;
  forced: number;
  /** A trace was requested, but `forcedPerSec` or `userForcedPerSec` was reached. */
  skipped: number;
}

/** Number of messages whose time of arrival is kept until their delivery. */
const arrivedLimit = 10_000;
const targetLimit = 200;
/** Number of senders whose requests are counted at the same time. */
const requestersLimit = 10_000;
/** Many clients that catch up at once must not push all other events out of the ring. */
const catchUpsPerSec = 100;

/** The calls of the delivering side, for messages with a trace mark. */
export type DeliveryTracer = Pick<MessageTracer, 'queued' | 'delivered' | 'caughtUp' | 'lost'>;

/** The trace of a message that a client of this replica sent. */
export interface MessageTrace {
  validated(): void;
  /** Called when the message is passed to the log. */
  readonly routed: () => void;
  stored(receipt: TracedReceipt): void;
  /** `delivered` of `expected` clients acknowledged it. */
  confirmed(delivered: number, expected: number): void;
  failed(error: unknown): void;
}

/**
 * Traces single messages from the command to the sockets. The replica that receives a message decides whether
 * to trace it: a few samples per second, all messages of a topic or user that an operator has selected, or a
 * message whose sender requests it. The trace mark is part of the log entry, so every delivering replica adds
 * its own events. Each replica keeps its own events; a query collects them from all.
 */
export class MessageTracer {
  readonly counts: TraceCounts = { sampled: 0, forced: 0, skipped: 0 };
  readonly ring: TraceRing;
  private readonly sample: TokenBucket | undefined;
  private readonly forced: TokenBucket;
  private readonly catchUps: TokenBucket;
  /** Of senders who request traces. */
  private readonly requests = new Map<string, TokenBucket>();
  private readonly arrived = new Map<string, number>();
  private sink: SpanSink | undefined;

  constructor(
    private readonly dependencies: MessageTracerDependencies,
    private readonly settings: MessageTracerSettings,
  ) {
    const now = dependencies.monotonicNow();
    this.ring = new TraceRing(settings.ringSize);
    this.sample = settings.samplePerSec === 0 ? undefined : new TokenBucket(settings.samplePerSec, now);
    this.forced = new TokenBucket(settings.forcedPerSec, now);
    this.catchUps = new TokenBucket(catchUpsPerSec, now);
  }

  /** Also exports finished spans to OpenTelemetry. */
  exportTo(sink: SpanSink): void {
    this.sink = sink;
  }

  /**
   * Starts a trace, if the message is to be traced. `target` is the topic or user in the request;
   * `requested`: the sender requests a trace.
   */
  begin(
    caller: TraceCaller,
    command: TraceStart['command'],
    id: string,
    target: string,
    requested: boolean,
  ): MessageTrace | undefined {
    const isWanted = this.isWanted(caller, command, target);
    const isRequested = requested && !isWanted && this.mayRequest(caller.identity.userId);
    if (!this.isChosen(isWanted || isRequested)) return undefined;
    const { id: connectionId, wire, identity } = caller;
    const start = { id, command, target, userId: identity.userId, connectionId, wire };
    return new LocalTrace(start, this.record, () => this.sink);
  }

  /** Traces a message that was refused before its command ran, if a trace rule selects it. */
  refused(
    caller: TraceCaller,
    command: TraceStart['command'],
    id: string,
    target: string,
    error: unknown,
  ): void {
    if (this.isWanted(caller, command, target)) this.begin(caller, command, id, target, false)?.failed(error);
  }

  // Called on the delivering replicas.

  /** A traced message has arrived from the log. */
  queued(messageId: string, details: TraceEvent['details']): void {
    const { at } = this.record(messageId, 'Queued', details);
    if (this.sink === undefined) return;
    this.arrived.set(messageId, at);
    if (this.arrived.size <= arrivedLimit) return;
    for (const oldest of this.arrived.keys()) {
      this.arrived.delete(oldest);
      return;
    }
  }

  /** A traced message was handed to transports. */
  delivered(messageId: string, details: TraceEvent['details']): void {
    const { at } = this.record(messageId, 'Delivered', details);
    const startAt = this.arrived.get(messageId);
    if (startAt === undefined) return;
    this.arrived.delete(messageId);
    this.sink?.delivered({ messageId, startAt, endAt: at, details });
  }

  /**
   * A traced message was read from the log for a client that catches up; at most a hundred events per second
   * are recorded.
   */
  caughtUp(messageId: string, details: TraceEvent['details']): void {
    if (this.catchUps.take(this.dependencies.monotonicNow()) > 0) return;
    this.record(messageId, 'Delivered', { ...details, from_log: true });
  }

  /** A traced message will not reach some client. */
  lost(messageId: string, details: TraceEvent['details']): void {
    this.record(messageId, 'Failed', details);
  }

  private mayRequest(userId: string): boolean {
    const now = this.dependencies.monotonicNow();
    let bucket = this.requests.get(userId);
    if (bucket === undefined) {
      // A bucket that was not used for a second is full again, so the oldest can be dropped.
      for (const oldest of this.requests.keys()) {
        if (this.requests.size < requestersLimit) break;
        this.requests.delete(oldest);
      }
      bucket = new TokenBucket(this.settings.userForcedPerSec, now);
    }
    this.requests.delete(userId);
    this.requests.set(userId, bucket);
    if (bucket.take(now) === 0) return true;
    this.counts.skipped++;
    return false;
  }

  private isChosen(wanted: boolean): boolean {
    const bucket = wanted ? this.forced : this.sample;
    if (bucket === undefined) return false;
    const chosen = bucket.take(this.dependencies.monotonicNow()) === 0;
    if (chosen) this.counts[wanted ? 'forced' : 'sampled']++;
    else if (wanted) this.counts.skipped++;
    return chosen;
  }

  private isWanted({ identity }: TraceCaller, command: TraceStart['command'], target: string): boolean {
    const { rules } = this.dependencies;
    if (rules.size === 0) return false;
    return rules.has('user', identity.userId) || rules.has(command === 'publish' ? 'topic' : 'user', target);
  }

  private readonly record = (messageId: string, stage: TraceStage, details: TraceEvent['details']) => {
    const { now, replicaId } = this.dependencies;
    const event = { message_id: messageId, stage, at: now(), replica_id: replicaId, details };
    this.ring.add(event);
    return event;
  };
}

class LocalTrace implements MessageTrace {
  private readonly events: TraceEvent[] = [];

  constructor(
    private readonly start: TraceStart,
    private readonly record: (id: string, stage: TraceStage, details: TraceEvent['details']) => TraceEvent,
    private readonly sink: () => SpanSink | undefined,
  ) {
    const { command, target, userId, connectionId, wire } = start;
    this.add('Received', {
      command,
      [command === 'publish' ? 'topic' : 'to']: beginningOf(target, targetLimit),
      user_id: userId,
      connection_id: connectionId,
      wire,
    });
  }

  validated(): void {
    this.add('Validated');
  }

  readonly routed = (): void => {
    this.add('Routed');
  };

  stored({ id, epoch, sequence, durability, duplicate, receivers }: TracedReceipt): void {
    const routed = this.events.find(({ stage }) => stage === 'Routed');
    Object.assign(routed?.details ?? {}, {
      epoch,
      sequence,
      durability,
      ...(receivers !== undefined && { target_count: receivers }),
      ...(duplicate && { duplicate_of: id }),
    });
    this.end();
  }

  confirmed(delivered: number, expected: number): void {
    this.add('Delivered', { acknowledged: delivered, expected });
  }

  failed(error: unknown): void {
    const { code, message } = toWireError(error);
    this.add('Failed', { code, reason: error instanceof RefusalError ? message : 'a bug, see the log' });
    this.end(code);
  }

  private add(stage: TraceStage, details: TraceEvent['details'] = {}): void {
    this.events.push(this.record(this.start.id, stage, details));
  }

  private end(failure?: string): void {
    this.sink()?.published({ ...this.start, events: this.events, ...(failure && { failure }) });
  }
}
