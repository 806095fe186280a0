import type { Position } from '../../../shared/position.js';
import { isPositionIn, type Lineage } from '../../log/lineage.js';
import type { StoredSession } from '../../sessions/session-store.js';
import type { TraceEvent } from '../../tracing/trace-event.js';
import type { ConnectionFact, PastSubscription, PauseFact, RecipientFacts } from './recipient-operations.js';

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

export interface Verdict extends Finding {
  /** False: what the user received on connections of which nothing is known any more is not part of the answer. */
  readonly complete: boolean;
  readonly findings: readonly Finding[];
}

/** A message of a topic, and the log it is in. */
export interface JudgedMessage extends Position {
  readonly topic: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly lineage: Lineage;
  readonly trace: readonly TraceEvent[];
}

/** What is known of the user. */
export interface Evidence {
  readonly facts: readonly RecipientFacts[];
  /** Sessions of the user whose clients are not connected. */
  readonly sessions: readonly StoredSession[];
  readonly silent: readonly string[];
}

/** Judges a message of a topic. What is not known to be so is not concluded. */
export function judge(message: JudgedMessage, evidence: Evidence): Verdict {
  const findings = [
    ...evidence.facts.flatMap((facts) => onReplica(message, facts)),
    ...evidence.sessions.flatMap((session) => inSession(message, session) ?? []),
  ];
  const complete =
    evidence.silent.length === 0 &&
    evidence.facts.every(({ complete_since: since, departed_at: departed }) => {
      return since <= message.at && (departed === null || departed < message.at);
    });
  const best = bestOf(findings);
  if (best !== undefined && !isNegative(best.outcome)) return { ...best, complete, findings };
  // A connection on a replica that does not answer may have it.
  if (evidence.silent.length > 0)
    return { outcome: 'unknown', reason: 'a replica did not answer', complete, findings };
  const unclear = findings.find(({ outcome }) => outcome === 'unknown');
  if (unclear !== undefined) return { ...unclear, complete, findings };
  if (best?.outcome === 'offline') return { ...best, complete, findings };
  return { ...withoutSubscription(message, evidence, complete), complete, findings };
}

/** No subscription is known that could have had the message. */
function withoutSubscription(message: JudgedMessage, { facts }: Evidence, isComplete: boolean): Finding {
  const connections = facts.flatMap(({ connections: live }) => live);
  const isForbidden =
    facts.some(({ forbidden_at: at }) => at !== null) ||
    (connections.length > 0 && connections.every(({ may_subscribe: may }) => !may));
  if (isForbidden) return { outcome: 'forbidden', reason: 'the user may not subscribe to the topic' };
  if (!isComplete)
    return {
      outcome: 'unknown',
      reason: 'what is kept of the connections of the user does not reach back so far',
    };
  const past = facts.flatMap(({ past_connections: list }) => list);
  const wasConnected =
    connections.some(({ connected_at: at }) => at <= message.at) ||
    past.some(({ connected_at: at, left_at: leftAt }) => at <= message.at && leftAt >= message.at);
  if (wasConnected)
    return { outcome: 'not_subscribed', reason: 'the user was connected, and not subscribed to the topic' };
  const leftAt = Math.max(...past.map(({ left_at: at }) => at).filter((at) => at < message.at));
  if (Number.isFinite(leftAt))
    return { outcome: 'offline', offline_since: leftAt, reason: 'the user was not connected' };
  if (connections.length > 0) return { outcome: 'offline', reason: 'the user connected after the message' };
  return { outcome: 'unknown', reason: 'nothing is known of the user' };
}

function onReplica(message: JudgedMessage, facts: RecipientFacts): Finding[] {
  const findings: Finding[] = [];
  for (const connection of facts.connections) {
    const finding = live(message, facts, connection);
    if (finding !== undefined) findings.push(onConnection(message, facts, connection.connection_id, finding));
  }
  for (const past of facts.past_subscriptions) {
    const finding = ended(message, facts, past);
    if (finding !== undefined) findings.push(onConnection(message, facts, past.connection_id, finding));
  }
  return findings;
}

const notComparable: Finding = {
  outcome: 'unknown',
  reason: 'where the subscription began, or has got to, cannot be compared with the message',
};

/** Undefined: the subscription began after the message, or nothing follows from it. */
function live(
  message: JudgedMessage,
  facts: RecipientFacts,
  { connection_id: id, subscription }: ConnectionFact,
): Finding | undefined {
  if (subscription === null) return undefined;
  const { start, reached, state, confirmed, confirmed_at: confirmedAt } = subscription;
  const began = start === null ? undefined : has(message, start);
  if (began === true) return undefined;
  const isHanded = reached === null ? undefined : has(message, reached);
  if (began === undefined || isHanded === undefined) return notComparable;
  if (isLost(message, facts, id)) return undefined;
  if (isHanded) {
    if (confirmed === null || has(message, confirmed) !== true) return { outcome: 'delivered' };
    return { outcome: 'acknowledged', ...(confirmedAt !== null && { acknowledged_by: confirmedAt }) };
  }
  if (state === 'dropping') return { outcome: 'dropped', reason: 'outbox_overflow' };
  if (state === 'leaving')
    return { outcome: 'queued', reason: 'the connection is being closed: it read too slowly' };
  if (state === 'live') return { outcome: 'queued', reason: 'it waits for the next flush' };
  const pause = pauseOf(message, facts, id);
  return pause === undefined
    ? { outcome: 'queued', reason: 'the client is catching up from the log' }
    : { outcome: 'paused', reason: 'the client reads too slowly; the message waits in the log' };
}

function ended(
  message: JudgedMessage,
  facts: RecipientFacts,
  { connection_id: id, start, reached, lost_to: lostTo, reason, at }: PastSubscription,
): Finding | undefined {
  if (lostTo !== null && has(message, reached) === false && has(message, lostTo) === true)
    return { outcome: 'dropped', ...(reason !== null && { reason }) };
  const began = start === null ? undefined : has(message, start);
  const isHanded = has(message, reached);
  // Of a loss, only what came before it is known. What came after its end is no matter of this subscription.
  if (began === true || (isHanded !== true && (lostTo !== null || at < message.at))) return undefined;
  if (began === undefined || isHanded === undefined)
    return lostTo === null || start !== null ? notComparable : undefined;
  const left = facts.past_connections.find((one) => one.connection_id === id);
  if (isHanded) {
    if (isLost(message, facts, id)) return undefined;
    const confirmed = left?.confirmed ?? null;
    if (confirmed === null || has(message, confirmed) !== true) return { outcome: 'delivered' };
    return { outcome: 'acknowledged', acknowledged_by: left!.left_at };
  }
  if (left === undefined) return { outcome: 'not_subscribed', reason: 'the user had unsubscribed' };
  return { outcome: 'offline', offline_since: at, reason: 'the connection had ended' };
}

/** Where the message was dropped, another finding says so. */
function isLost(message: JudgedMessage, { past_subscriptions: past }: RecipientFacts, id: string): boolean {
  return past.some(
    ({ connection_id: one, reached, lost_to: lostTo }) =>
      one === id && lostTo !== null && has(message, reached) === false && has(message, lostTo) === true,
  );
}

/** Adds the times that are known of a message on a connection. */
function onConnection(message: JudgedMessage, facts: RecipientFacts, id: string, finding: Finding): Finding {
  const pause = pauseOf(message, facts, id);
  const wasHanded = finding.outcome === 'delivered' || finding.outcome === 'acknowledged';
  const ack = facts.acknowledged.find(({ connection_id: one }) => one === id);
  const deliveredAt = wasHanded ? deliveryOn(message, facts, id, pause !== undefined) : undefined;
  const { acknowledged_by: by, ...rest } = finding;
  return {
    ...rest,
    replica_id: facts.replica_id,
    connection_id: id,
    ...(deliveredAt !== undefined && { delivered_at: deliveredAt }),
    ...(pause !== undefined && { paused_from: pause.since, paused_until: pause.until }),
    ...(ack !== undefined
      ? { outcome: 'acknowledged' as const, acknowledged_at: ack.at }
      : by !== undefined && { acknowledged_by: by }),
  };
}

/** When a traced message was passed to the transport of a connection. */
function deliveryOn(
  { trace }: JudgedMessage,
  { replica_id: replica }: RecipientFacts,
  id: string,
  wasPaused: boolean,
): number | undefined {
  const deliveries = trace.filter(
    ({ stage, replica_id, details }) =>
      stage === 'Delivered' && replica_id === replica && details['acknowledged'] === undefined,
  );
  const own = deliveries.find(({ details }) => details['connection_id'] === id);
  if (own !== undefined || wasPaused) return own?.at;
  return deliveries.find(({ details }) => details['from_log'] !== true)?.at;
}

function pauseOf(message: JudgedMessage, { pauses }: RecipientFacts, id: string): PauseFact | undefined {
  return pauses.find(
    ({ connection_id: one, from, to }) =>
      one === id && has(message, from) === false && (to === null || has(message, to) === true),
  );
}

/** A session whose client is not connected. */
function inSession(message: JudgedMessage, session: StoredSession): Finding | undefined {
  const confirmed = session.topics[message.topic];
  // The session may have been subscribed after the message.
  if (confirmed === undefined || has(message, confirmed) !== false) return undefined;
  const reached = session.reached?.[message.topic];
  const since = { session_id: session.id, offline_since: session.updated_at };
  const wasReached = reached === undefined ? false : has(message, reached);
  if (wasReached === undefined) return undefined;
  if (wasReached)
    return {
      ...since,
      outcome: 'delivered',
      reason: 'passed to a connection that has ended; the client has not confirmed it',
    };
  return {
    ...since,
    outcome: 'offline',
    reason: 'it is sent when the client comes back, if the log still has it',
  };
}

/** Whether a position includes the message; undefined: it is of another log. */
function has({ epoch, sequence, lineage }: JudgedMessage, position: Position): boolean | undefined {
  const isComparable =
    position.epoch === epoch ||
    (isPositionIn(lineage, { epoch, sequence }) && isPositionIn(lineage, position));
  return isComparable ? position.sequence >= sequence : undefined;
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

function isNegative(outcome: Outcome): boolean {
  return outcomes.indexOf(outcome) >= outcomes.indexOf('offline');
}
