import type { Position } from '../../../shared/position.js';
import { isPositionIn, type Lineage } from '../../log/lineage.js';
import type { StoredSession } from '../../sessions/session-store.js';
import type { TraceEvent } from '../../tracing/trace-event.js';
import type { Finding } from './finding.js';
import type { ConnectionFact, PastSubscription, PauseFact, RecipientFacts } from './recipient-operations.js';

/** A message of a topic, and the log it is in. */
export interface JudgedMessage extends Position {
  readonly topic: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly lineage: Lineage;
  readonly trace: readonly TraceEvent[];
}

/** What became of a message on the connections of a replica. */
export function onReplica(message: JudgedMessage, facts: RecipientFacts): Finding[] {
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
export function inSession(message: JudgedMessage, session: StoredSession): Finding | undefined {
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
