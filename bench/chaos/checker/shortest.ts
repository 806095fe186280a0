import type { HistoryEvent } from '../history/event.js';
import { check } from './check.js';
import type { Violation } from './violation.js';

/**
 * The shortest part of a history that shows the same violation: parts are removed as long as the checker still finds it,
 * word for word. Then no single event can be left out. After "delta debugging" (Zeller and Hildebrandt, 2002).
 *
 * @param budgetMs after this time what has been reached so far is returned
 */
export function shortest(
  events: readonly HistoryEvent[],
  violation: Violation,
  budgetMs = 5000,
): readonly HistoryEvent[] {
  const endsAt = performance.now() + budgetMs;
  const shows = (some: readonly HistoryEvent[]) =>
    check(some).some(({ rule, text }) => rule === violation.rule && text === violation.text);
  let kept =
    [
      events.filter((event) => concerns(event, violation, true)),
      events.filter((event) => concerns(event, violation, false)),
    ].find(shows) ?? events;
  for (let size = Math.ceil(kept.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
    for (let from = kept.length - size; from > -size; from -= size) {
      if (performance.now() > endsAt) return kept;
      const start = Math.max(0, from);
      const less = [...kept.slice(0, start), ...kept.slice(from + size)];
      if (shows(less)) kept = less;
    }
  return kept;
}

/** Whether an event can be about what a violation is about. */
function concerns(event: HistoryEvent, { about }: Violation, alone: boolean): boolean {
  if (event.kind === 'fault') return true;
  const topic =
    'topic' in event
      ? event.topic
      : event.kind === 'publish' || event.kind === 'published'
        ? event.target
        : undefined;
  if (about.topic !== undefined && topic !== undefined && topic !== about.topic) return false;
  return !alone || about.client === undefined || !('client' in event) || event.client === about.client;
}
