import type { Position } from '../../shared/position.js';
import type { Broker } from './broker.js';
import { isPlaceIn } from './lineage.js';
import type { History } from '../topics/topics.js';

/** Reads a log for `history`: after `since` oldest first, else the newest `limit` messages; always in log order. */
export async function readHistory(
  broker: Broker,
  topic: string,
  { since, limit }: { readonly since?: Position; readonly limit: number },
): Promise<History> {
  if (since === undefined) {
    const { end, entries } = await broker.readLast(topic, limit);
    return { ...end, entries, continuous: true };
  }
  const slice = await broker.read(topic, since.sequence, limit);
  if (isPlaceIn(slice.end, since)) {
    const continuous = since.sequence + 1 >= slice.end.firstSequence;
    return { ...slice.end, entries: slice.entries, continuous };
  }
  const { end, entries } = await broker.read(topic, 0, limit);
  return { ...end, entries, continuous: false };
}
