import type { StoredSession } from '../../sessions/session-store.js';
import { bestOf, outcomes, type Finding, type Outcome } from './finding.js';
import { inSession, onReplica, type JudgedMessage } from './recipient-findings.js';
import type { RecipientFacts } from './recipient-operations.js';

export interface Verdict extends Finding {
  /** False: what the user received on connections of which nothing is known any more is not part of the answer. */
  readonly complete: boolean;
  readonly findings: readonly Finding[];
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

function isNegative(outcome: Outcome): boolean {
  return outcomes.indexOf(outcome) >= outcomes.indexOf('offline');
}
