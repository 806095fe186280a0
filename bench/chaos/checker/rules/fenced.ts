import type { HistoryIndex } from '../history-index.js';
import type { Violation } from '../violation.js';

interface Sighting {
  readonly id: string;
  readonly by: string;
}

/**
 * A position names one message, and a message has one position, whoever reports them. If Redis has lost writes,
 * two messages at one position break P5, else P1.
 */
export function* fenced(history: HistoryIndex): Iterable<Violation> {
  const at = new Map<string, Sighting>();
  const reported = new Set<string>();
  const positionOf = new Map<string, string>();
  for (const { topic, epoch, sequence, id, by } of sightings(history)) {
    const place = `${topic} ${epoch}:${sequence}`;
    const other = at.get(place);
    const about = { topic };
    if (other === undefined) at.set(place, { id, by });
    else if (other.id !== id && !reported.has(`${place} ${id}`)) {
      reported.add(`${place} ${id}`);
      yield {
        rule: history.losses.length > 0 ? 'P5.2' : 'P1.1',
        text: `position ${place} holds two messages: ${other.id} (${other.by}) and ${id} (${by})`,
        about,
      };
    }
    const position = positionOf.get(id);
    if (position === undefined) positionOf.set(id, place);
    else if (position !== place)
      yield { rule: 'P1.1', text: `message ${id} has two positions: ${position} and ${place}`, about };
  }
}

function* sightings(history: HistoryIndex): Iterable<{
  topic: string;
  epoch: string;
  sequence: number;
  id: string;
  by: string;
}> {
  for (const event of history.events)
    if (event.kind === 'message') yield { ...event, by: `received by ${event.client}` };
    else if (event.kind === 'stored') yield { ...event, by: 'in the log' };
    else if (event.kind === 'published' && event.outcome === 'acknowledged' && event.epoch !== undefined)
      yield { ...event, epoch: event.epoch, topic: event.target, by: `acknowledged to ${event.client}` };
}
