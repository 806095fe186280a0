import type { HistoryEvent } from '../history/event.js';
import { HistoryIndex } from './history-index.js';
import { answered } from './rules/answered.js';
import { confirmed } from './rules/confirmed.js';
import { directs } from './rules/directs.js';
import { faultless } from './rules/faultless.js';
import { fenced } from './rules/fenced.js';
import { delivered } from './rules/delivered.js';
import { once } from './rules/once.js';
import { presence } from './rules/presence.js';
import { publishOrder } from './rules/publish-order.js';
import { stored } from './rules/stored.js';
import { stops } from './rules/stops.js';
import type { Violation } from './violation.js';

/** A rule finds what a history shows of a broken promise. It looks at nothing else. */
export type Rule = (history: HistoryIndex) => Iterable<Violation>;

const rules: readonly Rule[] = [
  fenced,
  publishOrder,
  delivered,
  stored,
  once,
  confirmed,
  directs,
  answered,
  stops,
  presence,
  faultless,
];

/** All violations that a history shows, each once. */
export function check(events: readonly HistoryEvent[]): Violation[] {
  const history = new HistoryIndex(events);
  const found = new Map<string, Violation>();
  for (const rule of rules)
    for (const violation of rule(history)) found.set(`${violation.rule} ${violation.text}`, violation);
  return [...found.values()];
}
