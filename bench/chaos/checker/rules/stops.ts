import type { HistoryIndex } from '../history-index.js';
import type { Violation } from '../violation.js';

/** P8: a replica that is told to stop ends in time and with success. */
export function* stops(history: HistoryIndex): Iterable<Violation> {
  for (const { replica, exitCode, tookMs, limitMs } of history.of('replica-stopped')) {
    if (exitCode !== 0)
      yield { rule: 'P8.1', text: `replica ${replica} ended with ${exitCode} on SIGTERM`, about: {} };
    if (tookMs > limitMs)
      yield {
        rule: 'P8.2',
        text: `replica ${replica} took ${tookMs.toFixed(0)} ms to end; the limit is ${limitMs}`,
        about: {},
      };
  }
}
