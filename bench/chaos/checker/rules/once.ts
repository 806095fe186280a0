import type { EventOf } from '../../history/event.js';
import type { HistoryIndex } from '../history-index.js';
import type { Violation } from '../violation.js';

/** P4: a publish that is repeated with its key is stored and delivered once, and answered with one position. */
export function* once(history: HistoryIndex): Iterable<Violation> {
  const ids = new Map<string, string>();
  for (const { topic, body, id, epoch, sequence } of history.of('stored')) {
    const other = ids.get(`${topic} ${body}`);
    if (other !== undefined)
      yield {
        rule: 'P4.2',
        text: `${body} is in ${topic} twice: as ${other}, and as ${id} at ${epoch}:${sequence}`,
        about: { topic },
      };
    ids.set(`${topic} ${body}`, id);
  }
  for (const { topic, body, id, client, at } of history.of('message')) {
    const other = ids.get(`${topic} ${body}`);
    // A Redis that has lost the message has lost its key too (P4.7).
    if (other !== undefined && other !== id && !history.mayBeLost(0, at) && !history.mayBeLost(at, Infinity))
      yield { rule: 'P4.2', text: `${client} received ${body} as ${other} and as ${id}`, about: { topic } };
    if (other === undefined) ids.set(`${topic} ${body}`, id);
  }
  yield* oneAnswer(history);
}

function* oneAnswer(history: HistoryIndex): Iterable<Violation> {
  for (const [operation, attempts] of history.operations) {
    let first: EventOf<'published'> | undefined;
    let firstSentAt = 0;
    for (const { sent, answer } of attempts) {
      if (answer?.kind !== 'published' || answer.outcome !== 'acknowledged') continue;
      const about = { topic: sent.target };
      if (first === undefined) {
        first = answer;
        firstSentAt = sent.at;
      } else if (first.outcome === 'acknowledged' && !history.mayBeLost(firstSentAt, answer.at)) {
        if (answer.id !== first.id || answer.sequence !== first.sequence || answer.epoch !== first.epoch)
          yield {
            rule: 'P4.1',
            text: `${operation} was answered as ${first.id} at ${first.epoch}:${first.sequence}, then as ${answer.id} at ${answer.epoch}:${answer.sequence}`,
            about,
          };
        else if (answer.duplicate !== true)
          yield { rule: 'P4.1', text: `${operation} was repeated, but not answered as a duplicate`, about };
      }
    }
  }
}
