import type { Position } from '../../../shared/position.js';
import type { RecipientFacts } from './recipient-operations.js';
import { bestOf, type Finding } from './finding.js';
import type { Evidence, Verdict } from './recipient-verdict.js';

/** A direct message to the user. */
export interface JudgedDirect {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Where it is in the inbox; undefined: not known, because it is not there and was not traced. */
  readonly position: Position | undefined;
  /** Whether it waits in the inbox, because nobody has acknowledged it. */
  readonly waits: boolean;
}

/** Judges a direct message to the user. */
export function judgeDirect(message: JudgedDirect, { facts, sessions, silent }: Evidence): Verdict {
  const findings = facts.flatMap((one) => onReplica(message, one));
  const complete = silent.length === 0;
  const best = bestOf(findings);
  if (best !== undefined) return { ...best, complete, findings };
  const answer = (finding: Finding): Verdict => ({ ...finding, complete, findings });
  if (!message.waits)
    return answer({
      outcome: 'unknown',
      reason: 'it does not wait in the inbox: it was acknowledged, or has expired, or the inbox was emptied',
    });
  if (!complete) return answer({ outcome: 'unknown', reason: 'a replica did not answer' });
  const past = facts.flatMap(({ past_connections: list }) => list.map(({ left_at: at }) => at));
  const since = Math.max(...past, ...sessions.map(({ updated_at: at }) => at));
  return answer({
    outcome: 'offline',
    ...(Number.isFinite(since) && { offline_since: since }),
    reason: 'it waits in the inbox',
  });
}

function onReplica({ position, waits }: JudgedDirect, facts: RecipientFacts): Finding[] {
  const acknowledged = facts.acknowledged.map(({ connection_id, at }): Finding => {
    return { outcome: 'acknowledged', replica_id: facts.replica_id, connection_id, acknowledged_at: at };
  });
  const passed = facts.connections.flatMap(({ connection_id, inbox }): Finding[] => {
    if (inbox === null || position === undefined) return [];
    if (acknowledged.some(({ connection_id: one }) => one === connection_id)) return [];
    const { sent, state } = inbox;
    const where = { replica_id: facts.replica_id, connection_id };
    if (sent !== null && sent.epoch === position.epoch && sent.sequence >= position.sequence)
      return waits ? [{ ...where, outcome: 'delivered', reason: 'the client has not acknowledged it' }] : [];
    if (!waits) return [];
    if (state === 'stalled')
      return [{ ...where, outcome: 'paused', reason: 'the client reads too slowly; it waits in the inbox' }];
    return [{ ...where, outcome: 'queued', reason: 'it is being sent from the inbox' }];
  });
  return [...acknowledged, ...passed];
}
