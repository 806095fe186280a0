/** What became of a message on the way to a user; of several connections, the one that has got furthest counts. */
export const outcomes = [
  'acknowledged',
  'delivered',
  'paused',
  'queued',
  'dropped',
  'offline',
  'forbidden',
  'not_subscribed',
  'not_addressed',
  'not_stored',
  'unknown',
] as const;

export type Outcome = (typeof outcomes)[number];

/** What became of it on one connection, or in one session. Times are in milliseconds since 1970. */
export interface Finding {
  readonly outcome: Outcome;
  readonly replica_id?: string;
  readonly connection_id?: string;
  readonly session_id?: string;
  readonly delivered_at?: number;
  /** When the client acknowledged the message. */
  readonly acknowledged_at?: number;
  /** By this time the client had confirmed the receipt, by a heartbeat. */
  readonly acknowledged_by?: number;
  readonly paused_from?: number;
  /** Null: the pause goes on. */
  readonly paused_until?: number | null;
  readonly offline_since?: number;
  readonly reason?: string;
}

/** Those that got furthest first; of the same, the newest. */
export function byRank(findings: readonly Finding[]): Finding[] {
  return [...findings].sort(
    (a, b) => outcomes.indexOf(a.outcome) - outcomes.indexOf(b.outcome) || newest(b) - newest(a),
  );
}

export function bestOf(findings: readonly Finding[]): Finding | undefined {
  return byRank(findings)[0];
}

function newest({
  acknowledged_at: at,
  acknowledged_by: by,
  delivered_at: delivered,
  offline_since: since,
}: Finding): number {
  return at ?? by ?? delivered ?? since ?? 0;
}
