import type { HistoryIndex } from '../history-index.js';
import type { Violation } from '../violation.js';

/** The service recovers when the faults are over, and nothing that happens to it makes it log a bug. */
export function* faultless(history: HistoryIndex): Iterable<Violation> {
  for (const { client, what } of history.of('stuck'))
    yield { rule: 'recovers', text: `${client} ${what} although all faults are over`, about: { client } };
  for (const { client, text } of history.of('unreadable'))
    yield { rule: 'wire', text: `${client} received what is no frame: ${text}`, about: { client } };
  for (const { replica, line } of history.of('bug'))
    yield { rule: 'N4.2', text: `replica ${replica} has logged a bug: ${line}`, about: {} };
}
