import type { EventOf } from '../../history/event.js';
import type { Attempt, HistoryIndex } from '../history-index.js';
import type { Violation } from '../violation.js';

/** P3: what is acknowledged is in the log, at the position that was answered; what is refused never is. */
export function* stored(history: HistoryIndex): Iterable<Violation> {
  const logged = bodiesByTopic(history);
  for (const [operation, attempts] of history.operations) {
    const [first] = attempts;
    if (first === undefined || first.sent.kind !== 'publish') continue;
    const { target: topic, body, client } = first.sent;
    for (const { sent, answer } of attempts)
      yield* judgeAcknowledged(
        history,
        sent as EventOf<'publish'>,
        answer as EventOf<'published'> | undefined,
      );
    yield* judgeRefused(attempts);
    if (attempts.every(isRefusedForCertain) && logged.get(topic)?.has(body) === true)
      yield {
        rule: 'P3.3',
        text: `${operation} of ${client} was refused (${codesOf(attempts)}), but ${topic} has it`,
        about: { topic, client },
      };
  }
  const published = new Set(history.of('publish').map(({ target, body }) => `${target} ${body}`));
  for (const topic of history.logs.keys())
    for (const [body, by] of logged.get(topic) ?? [])
      if (!published.has(`${topic} ${body}`))
        yield {
          rule: 'P3.1',
          text: `${topic} has ${body} (${by}), which nobody has published`,
          about: { topic },
        };
}

function* judgeAcknowledged(
  history: HistoryIndex,
  sent: EventOf<'publish'>,
  answer: EventOf<'published'> | undefined,
): Iterable<Violation> {
  if (answer?.outcome !== 'acknowledged') return;
  const log = history.logs.get(sent.target);
  if (log === undefined || history.mayBeLost(sent.at, answer.at, answer.durability)) return;
  const message = log.byId.get(answer.id);
  const about = { topic: sent.target, client: sent.client };
  const what = `${sent.operation} was acknowledged to ${sent.client} as ${answer.epoch}:${answer.sequence} of ${sent.target}`;
  if (message === undefined) yield { rule: 'P3.1', text: `${what}, but it is not in the log`, about };
  else if (message.body !== sent.body)
    yield { rule: 'P3.1', text: `${what}, where the log has ${message.body}`, about };
}

/** A repetition is a duplicate only of what was stored, and that is never answered with a refusal. */
function* judgeRefused(attempts: readonly Attempt[]): Iterable<Violation> {
  for (const [n, { sent, answer }] of attempts.entries()) {
    if (answer?.outcome !== 'acknowledged' || answer.duplicate !== true) continue;
    const before = attempts.slice(0, n);
    if (before.length > 0 && before.every(isRefusedForCertain))
      yield {
        rule: 'P3.3',
        text: `${sent.operation} of ${sent.client} was refused (${codesOf(before)}), but its repetition is a duplicate`,
        about: { topic: sent.target, client: sent.client },
      };
    return;
  }
}

/** Bodies in logs and deliveries, each with where it was seen. */
function bodiesByTopic(history: HistoryIndex): Map<string, Map<string, string>> {
  const byTopic = new Map<string, Map<string, string>>();
  const add = (topic: string, body: string, by: string) => {
    const bodies = byTopic.get(topic);
    if (bodies === undefined) byTopic.set(topic, new Map([[body, by]]));
    else if (!bodies.has(body)) bodies.set(body, by);
  };
  for (const { topic, body } of history.of('stored')) add(topic, body, 'in the log');
  for (const { topic, body, client } of history.of('message')) add(topic, body, `received by ${client}`);
  return byTopic;
}

function isRefusedForCertain({ answer }: Attempt): boolean {
  return answer?.outcome === 'refused' && answer.code !== 'outcome_unknown';
}

function codesOf(attempts: readonly Attempt[]): string {
  return attempts.map(({ answer }) => (answer?.outcome === 'refused' ? answer.code : '')).join(', ');
}
