import type { TraceEvent, TraceStart } from './trace-event.js';

/** The span of a message from its client into the log. */
export interface PublishSpan extends TraceStart {
  readonly events: readonly TraceEvent[];
  /** Code of the error, if it was refused. */
  readonly failure?: string;
}

/** The span of a message from the log to the clients of one replica. */
export interface DeliverySpan {
  readonly messageId: string;
  readonly startAt: number;
  readonly endAt: number;
  readonly details: TraceEvent['details'];
}

/** Receives the finished spans of traced messages. */
export interface SpanSink {
  published(span: PublishSpan): void;
  delivered(span: DeliverySpan): void;
}
