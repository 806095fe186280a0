import type { TraceEvent, TraceStage } from '../../tracing/trace-event.js';
import type { TraceRing } from '../../tracing/trace-ring.js';
import { operation, type ClusterOperations } from '../cluster-operations.js';
import { listPage, type ListRequest } from '../list-page.js';

/** A traced message, as the replica that received it describes it. */
interface TracedMessage {
  readonly message_id: string;
  /** When it was received, in milliseconds since 1970. */
  readonly at: number;
  readonly replica_id: string;
  /** The latest stage on that replica. */
  readonly stage: TraceStage;
  readonly user_id: string;
  /** Topic of a `publish`. */
  readonly topic?: string;
  /** User of a `direct`. */
  readonly to?: string;
  /** Error code, if it failed. */
  readonly code?: string;
}

/** Selects messages; each given field has to match. */
interface TraceQuery extends ListRequest {
  readonly topic?: string | undefined;
  /** Sender, or recipient of a direct message. */
  readonly user?: string | undefined;
  readonly failed?: boolean | undefined;
}

/** The newest first: a key that falls with time. */
export const traceOrder = {
  keyOf: ({ at, message_id: id }: TracedMessage): string =>
    `${String(Number.MAX_SAFE_INTEGER - at).padStart(16, '0')} ${id}`,
};

export const traceOfMessage = operation<{ readonly id: string }, readonly TraceEvent[]>('trace');

export const listTraces = operation<TraceQuery, readonly TracedMessage[]>('traces');

/** Answers of this replica about its traces. */
export class TraceOperations {
  constructor(private readonly ring: TraceRing) {}

  /** Registers the answers of this replica. */
  serve(cluster: ClusterOperations): void {
    cluster.answer(traceOfMessage, ({ id }) => this.ring.of(id));
    cluster.answer(listTraces, (query) => this.list(query));
  }

  private list(query: TraceQuery): readonly TracedMessage[] {
    const request = { ...query, after: query.after ?? '' };
    return listPage(this.matching(query), request, traceOrder, (message) => message).items;
  }

  private *matching(query: TraceQuery): Iterable<TracedMessage> {
    const latest = new Map<string, TraceEvent>();
    for (const event of this.ring.newestFirst()) {
      const last = latest.get(event.message_id) ?? event;
      if (last === event) latest.set(event.message_id, event);
      if (event.stage !== 'Received') continue;
      const message = describe(event, last);
      if (fits(message, query)) yield message;
    }
  }
}

function describe({ message_id, at, replica_id, details }: TraceEvent, last: TraceEvent): TracedMessage {
  const { topic, to, user_id: userId } = details as { topic?: string; to?: string; user_id: string };
  const { code } = last.details as { code?: string };
  return {
    message_id,
    at,
    replica_id,
    stage: last.stage,
    user_id: userId,
    ...(topic !== undefined && { topic }),
    ...(to !== undefined && { to }),
    ...(code !== undefined && { code }),
  };
}

function fits(message: TracedMessage, { topic, user, failed }: TraceQuery): boolean {
  return (
    (topic === undefined || message.topic === topic) &&
    (user === undefined || message.user_id === user || message.to === user) &&
    (failed === undefined || failed === (message.stage === 'Failed'))
  );
}
