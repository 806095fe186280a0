import type { HistoryEvent } from '../history/event.js';
import { shortest } from './shortest.js';
import type { Violation } from './violation.js';

/** Faults shown before a violation. */
const faultsShown = 12;

/** A violation with the shortest history that shows it, and the faults until then, as lines of text. */
export function describe(events: readonly HistoryEvent[], violation: Violation): string {
  const shown = shortest(events, violation);
  const endsAt = shown.at(-1)?.at ?? Infinity;
  const faults = events.filter(({ kind, at }) => kind === 'fault' && at <= endsAt).slice(-faultsShown);
  const lines = [...new Set([...faults, ...shown])].sort((a, b) => a.at - b.at).map(lineOf);
  return [`[${violation.rule}] ${violation.text}`, ...lines.map((line) => `    ${line}`)].join('\n');
}

function lineOf({ at, kind, ...fields }: HistoryEvent): string {
  return `${(at / 1000).toFixed(3).padStart(8)} s  ${kind.padEnd(16)}${JSON.stringify(fields)}`;
}
