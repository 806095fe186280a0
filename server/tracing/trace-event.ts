/** Stages of a message, in their order. `Failed` may follow any of them. */
export const traceStages = ['Received', 'Validated', 'Routed', 'Queued', 'Delivered', 'Failed'] as const;

export type TraceStage = (typeof traceStages)[number];

/** Something that happened to a message on one replica. */
export interface TraceEvent {
  readonly message_id: string;
  readonly stage: TraceStage;
  /** Milliseconds since 1970, by the clock of the replica. */
  readonly at: number;
  readonly replica_id: string;
  /** In snake_case, as written; may grow until the next stage. */
  readonly details: Record<string, unknown>;
}

/** Who sends what to where. */
export interface TraceStart {
  readonly id: string;
  readonly command: 'publish' | 'direct';
  /** Topic, or user, as the client gave it. */
  readonly target: string;
  readonly userId: string;
  readonly connectionId: string;
  readonly wire: string;
}

/** Puts events of several replicas in order: by time, and by stage where the clocks do not tell them apart. */
export function inOrder(events: readonly TraceEvent[]): TraceEvent[] {
  // Acknowledged is what was delivered before.
  const rank = ({ stage, details }: TraceEvent) =>
    traceStages.indexOf(stage) + ('acknowledged' in details ? 0.5 : 0);
  return [...events].sort((a, b) => a.at - b.at || rank(a) - rank(b));
}
