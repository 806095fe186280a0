import type { HistoryIndex } from '../history-index.js';
import type { Violation } from '../violation.js';

/** P7: every command is answered, and memory stays within its limit. */
export function* answered(history: HistoryIndex): Iterable<Violation> {
  for (const attempts of history.operations.values())
    for (const { sent, answer } of attempts)
      if (answer?.outcome === 'unanswered')
        yield {
          rule: 'P7.2',
          text: `${sent.operation} of ${sent.client} was never answered on a living connection`,
          about: { client: sent.client },
        };
  for (const { replica, growthBytes, limitBytes } of history.of('memory'))
    if (growthBytes > limitBytes)
      yield {
        rule: 'P7.3',
        text: `replica ${replica} has grown by ${mib(growthBytes)} MiB; the limit is ${mib(limitBytes)}`,
        about: {},
      };
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
