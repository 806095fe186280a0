import { RefusalError, toWireError } from '../../shared/errors.js';
import { TokenBucket } from '../primitives/token-bucket.js';
import type { SpanSink } from './span-sink.js';
import type { TraceEvent, TraceStage, TraceStart } from './trace-event.js';
import { TraceRing } from './trace-ring.js';
import type { TraceRules } from './trace-rules.js';

/** Who sends a message: a connection. */
interface TraceCaller {
  readonly id: string;
  readonly wire: string;
  readonly identity: { readonly userId: string };
}

/** What is told of a stored message. */
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
  /** Messages traced per second without being asked; 0 for none. */
  readonly samplePerSec: number;
  /** Messages traced per second because somebody asked, at most. */
  readonly forcedPerSec: number;
  /** Events kept. */
  readonly ringSize: number;
}

interface TraceCounts {
  sampled: number;
  forced: number;
  /** Somebody asked, but `forcedPerSec` were reached. */
  skipped: number;
}

/** Messages whose arrival is remembered until they are delivered. */
const arrivedLimit = 10_000;
const targetLimit = 200;
/** A crowd that is caught up must not push everything else out of the ring. */
const catchUpsPerSec = 100;

/** What a replica that delivers tells of marked messages. */
export type DeliveryTracer = Pick<MessageTracer, 'queued' | 'delivered' | 'caughtUp' | 'lost'>;

/** A message of this replica's clients that is being traced. */
export interface MessageTrace {
  validated(): void;
  /** It is given to the log. */
  readonly routed: () => void;
  stored(receipt: TracedReceipt): void;
  /** Clients acknowledged it, of as many as it was sent to. */
  confirmed(delivered: number, expected: number): void;
  failed(error: unknown): void;
}

/**
 * Traces single messages from the command to the sockets. The replica that takes a message decides: a few a second by themselves, all of
 * a topic or user that an operator has asked for, or one whose publisher asks. The mark travels with the message, so every replica that
 * delivers it adds its own events; each keeps its own, and whoever asks gathers them.
 */
export class MessageTracer {
  readonly counts: TraceCounts = { sampled: 0, forced: 0, skipped: 0 };
  readonly ring: TraceRing;
  private readonly sample: TokenBucket | undefined;
  private readonly forced: TokenBucket;
  private readonly catchUps: TokenBucket;
  private readonly arrived = new Map<string, number>();
  private sink: SpanSink | undefined;

  constructor(
    private readonly dependencies: MessageTracerDependencies,
    settings: MessageTracerSettings,
  ) {
    const now = dependencies.monotonicNow();
    this.ring = new TraceRing(settings.ringSize);
    this.sample = settings.samplePerSec === 0 ? undefined : new TokenBucket(settings.samplePerSec, now);
    this.forced = new TokenBucket(settings.forcedPerSec, now);
    this.catchUps = new TokenBucket(catchUpsPerSec, now);
  }

  /** Also gives finished stretches to OpenTelemetry. */
  exportTo(sink: SpanSink): void {
    this.sink = sink;
  }

  /**
   * Begins the trace of a message, if it is to be traced. `target` is a topic, or a user, as its sender gave it; `asked`: the sender wants
   * a trace.
   */
  begin(
    caller: TraceCaller,
    command: TraceStart['command'],
    id: string,
    target: string,
    asked: boolean,
  ): MessageTrace | undefined {
    if (!this.isChosen(asked || this.isWanted(caller, command, target))) return undefined;
    const { id: connectionId, wire, identity } = caller;
    const start = { id, command, target, userId: identity.userId, connectionId, wire };
    return new LocalTrace(start, this.record, () => this.sink);
  }

  /** Traces a message that was refused before its command was run, if an operator has asked for such messages. */
  refused(
    caller: TraceCaller,
    command: TraceStart['command'],
    id: string,
    target: string,
    error: unknown,
  ): void {
    if (this.isWanted(caller, command, target)) this.begin(caller, command, id, target, true)?.failed(error);
  }

  // On the replicas that deliver.

  /** A marked message has come from the log. */
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

  /** A marked message was handed to transports. */
  delivered(messageId: string, details: TraceEvent['details']): void {
    const { at } = this.record(messageId, 'Delivered', details);
    const startAt = this.arrived.get(messageId);
    if (startAt === undefined) return;
    this.arrived.delete(messageId);
    this.sink?.delivered({ messageId, startAt, endAt: at, details });
  }

  /** A marked message was read from the log for somebody who was behind; noted up to a hundred times a second. */
  caughtUp(messageId: string, details: TraceEvent['details']): void {
    if (this.catchUps.take(this.dependencies.monotonicNow()) > 0) return;
    this.record(messageId, 'Delivered', { ...details, from_log: true });
  }

  /** A marked message will not reach somebody. */
  lost(messageId: string, details: TraceEvent['details']): void {
    this.record(messageId, 'Failed', details);
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
      [command === 'publish' ? 'topic' : 'to']: target.slice(0, targetLimit),
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
