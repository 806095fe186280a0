import { inboxOf } from '../../direct/inbox-name.js';
import type { Broker } from '../../log/broker.js';
import { findMessage, hasMessage } from '../../log/find-message.js';
import { epochAt } from '../../log/lineage.js';
import { messageTimeOf } from '../../log/missed-start.js';
import type { SessionStore } from '../../sessions/session-store.js';
import { inOrder, type TraceEvent } from '../../tracing/trace-event.js';
import type { ClusterOperations } from '../cluster-operations.js';
import { traceOfMessage } from '../traces/trace-operations.js';
import { judgeDirect } from './direct-verdict.js';
import { recipientFacts } from './recipient-operations.js';
import { byRank, type Outcome } from './finding.js';
import { judge, type Evidence, type Verdict } from './recipient-verdict.js';

export interface RecipientSearchDependencies {
  readonly cluster: ClusterOperations;
  readonly broker: Broker;
  readonly sessions: Pick<SessionStore, 'leftOf'>;
}

/** The verdict about a message and a user. */
interface RecipientAnswer extends Verdict {
  readonly message_id: string;
  readonly user_id: string;
  readonly topic: string | null;
  readonly published_at: number;
  readonly silent_replicas: readonly string[];
}

/** Sessions of a user that are looked at. */
const sessionsMax = 20;
/** Findings in an answer, the best ones. */
const findingsMax = 100;

/** Gathers what traces, logs, sessions and replicas know of a message and a user, and judges it. */
export class RecipientSearch {
  constructor(private readonly dependencies: RecipientSearchDependencies) {}

  async run(id: string, user: string, givenTopic: string | undefined): Promise<RecipientAnswer> {
    const traced = await this.dependencies.cluster.ask(traceOfMessage, { id });
    const trace = inOrder(traced.answers.flatMap(({ answer }) => answer));
    const { topic: tracedTopic, to } = targetOf(trace);
    const topic = tracedTopic ?? (to === undefined ? givenTopic : undefined);
    const answer = (verdict: Verdict, silent: readonly string[] = traced.unresponsive): RecipientAnswer => ({
      message_id: id,
      user_id: user,
      topic: topic ?? null,
      published_at: messageTimeOf(id),
      ...verdict,
      findings: byRank(verdict.findings).slice(0, findingsMax),
      silent_replicas: silent,
    });
    const refused = refusalIn(trace);
    if (refused !== undefined) return answer(alone('not_stored', refused));
    if (to !== undefined && to !== user)
      return answer(alone('not_addressed', 'it is a direct message to another user'));
    if (topic !== undefined) {
      const message = await this.inTopic(id, topic, trace);
      if (message === undefined)
        return answer(alone('unknown', `the log of ${topic} does not have the message, any more or at all`));
      const evidence = await this.evidence(id, user, topic);
      return answer(judge(message, evidence), evidence.silent);
    }
    const direct = await this.inInbox(id, user, trace, to !== undefined);
    if (direct === undefined)
      return answer(
        alone(
          'unknown',
          'no trace of the message is kept, and it is not in the inbox of the user: give its topic',
        ),
      );
    const evidence = await this.evidence(id, user, undefined);
    return answer(judgeDirect(direct, evidence), evidence.silent);
  }

  private async evidence(message: string, user: string, topic: string | undefined): Promise<Evidence> {
    const { cluster, sessions } = this.dependencies;
    const [{ answers, unresponsive: silent }, left] = await Promise.all([
      cluster.ask(recipientFacts, { message, user, topic }),
      sessions.leftOf(user, sessionsMax),
    ]);
    return { facts: answers.map(({ answer }) => answer), sessions: left, silent };
  }

  /** A message of a topic, by its trace or, without one, by a search in the log. */
  private async inTopic(id: string, topic: string, trace: readonly TraceEvent[]) {
    const { broker } = this.dependencies;
    const at = messageTimeOf(id);
    const known = trace.map(({ details }) => details['sequence']).find((value) => typeof value === 'number');
    const epoch = trace.map(({ details }) => details['epoch']).find((value) => typeof value === 'string');
    if (known !== undefined) {
      const { end } = await broker.read(topic, known - 1, 1);
      if (epoch !== undefined) return { topic, at, trace, lineage: end, sequence: known, epoch };
      if (await hasMessage(broker, topic, known, id))
        return { topic, at, trace, lineage: end, sequence: known, epoch: epochAt(end, known) };
    }
    const { sequence, end } = await findMessage(broker, topic, id);
    if (sequence === undefined) return undefined;
    return { topic, at, trace, lineage: end, sequence, epoch: epochAt(end, sequence) };
  }

  /** A direct message to the user; undefined: nothing shows that it is one. */
  private async inInbox(id: string, user: string, trace: readonly TraceEvent[], isTraced: boolean) {
    const { sequence, end } = await findMessage(this.dependencies.broker, inboxOf(user), id);
    const at = messageTimeOf(id);
    if (sequence !== undefined)
      return { at, waits: true, position: { epoch: epochAt(end, sequence), sequence } };
    if (!isTraced) return undefined;
    const routed = trace.find(({ stage }) => stage === 'Routed')?.details ?? {};
    const { epoch, sequence: known } = routed as { epoch?: string; sequence?: number };
    const position = epoch === undefined || known === undefined ? undefined : { epoch, sequence: known };
    return { at, waits: false, position };
  }
}

/** Topic of a publish, or user of a direct message. */
function targetOf(trace: readonly TraceEvent[]): { topic?: string; to?: string } {
  for (const { details } of trace) {
    const { topic, to } = details as { topic?: string; to?: string };
    if (topic !== undefined) return { topic };
    if (to !== undefined) return { to };
  }
  return {};
}

/** Why the message is not in the log, as its trace says. */
function refusalIn(trace: readonly TraceEvent[]): string | undefined {
  for (const { stage, details } of trace) {
    const { code, duplicate_of: first } = details as { code?: string; duplicate_of?: string };
    if (first !== undefined) return `it repeats message ${first}`;
    if (stage === 'Failed' && code !== undefined && code !== 'outcome_unknown')
      return `it was refused: ${code}`;
  }
  return undefined;
}

function alone(outcome: Outcome, reason: string): Verdict {
  return { outcome, reason, complete: true, findings: [] };
}
