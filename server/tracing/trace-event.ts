/** Stages of a message, in their order. `Failed` may follow any of them. */
export const traceStages = ['Received', 'Validated', 'Routed', 'Queued', 'Delivered', 'Failed'] as const;

export type TraceStage = (typeof traceStages)[number];

/** An event of a message on one replica. */
export interface TraceEvent {
  readonly message_id: string;
  readonly stage: TraceStage;
  /** Milliseconds since 1970, by the clock of the replica. */
  readonly at: number;
  readonly replica_id: string;
  /** Keys in snake_case, as in the JSON output; more may be added until the next stage. */
  readonly details: Record<string, unknown>;
}

/** Sender, command and target of a message. */
export interface TraceStart {
  readonly id: string;
  readonly command: 'publish' | 'direct';
  /** Topic or user, as in the request. */
  readonly target: string;
  readonly userId: string;
  readonly connectionId: string;
  readonly wire: string;
}

/** Sorts events of several replicas by time, and by stage if the times are equal. */
export function inOrder(events: readonly TraceEvent[]): TraceEvent[] {
  // An acknowledgement always follows the delivery.
  const rank = ({ stage, details }: TraceEvent) =>
    traceStages.indexOf(stage) + ('acknowledged' in details ? 0.5 : 0);
  return [...events].sort((a, b) => a.at - b.at || rank(a) - rank(b));
}
