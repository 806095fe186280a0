import type { EventOf } from '../../history/event.js';
import type { HistoryIndex } from '../history-index.js';
import type { Violation } from '../violation.js';

/**
 * P1.5: what one connection publishes on a topic keeps its order. Only operations that were sent once count: a
 * repetition may rightly be stored behind what was sent after its first attempt.
 */
export function* publishOrder(history: HistoryIndex): Iterable<Violation> {
  const last = new Map<string, { operation: string; epoch: string; sequence: number }>();
  const sent = history.of('publish');
  for (const event of sent) {
    const attempts = history.operations.get(event.operation)!;
    const answer = attempts[0]?.answer as EventOf<'published'> | undefined;
    if (attempts.length > 1 || answer?.outcome !== 'acknowledged' || answer.epoch === undefined) continue;
    if (answer.duplicate === true) continue;
    const { epoch, sequence, operation } = { ...answer, epoch: answer.epoch };
    const line = `${event.client} ${event.connection} ${event.target}`;
    const before = last.get(line);
    if (before !== undefined && before.epoch === epoch && before.sequence >= sequence)
      yield {
        rule: 'P1.5',
        text: `${event.client} published ${before.operation} before ${operation} on one connection, but they are stored at ${before.sequence} and ${sequence} of ${event.target}`,
        about: { topic: event.target, client: event.client },
      };
    last.set(line, { operation, epoch, sequence });
  }
  for (const [topic, { messages }] of history.logs)
    for (let n = 1; n < messages.length; n++) {
      const [before, one] = [messages[n - 1]!, messages[n]!];
      if (one.sequence !== before.sequence + 1)
        yield {
          rule: 'P1.2',
          text: `in the log of ${topic}, ${before.epoch}:${before.sequence} is followed by ${one.epoch}:${one.sequence}`,
          about: { topic },
        };
    }
}
