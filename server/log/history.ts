import type { Position } from '../../shared/position.js';
import type { Broker, LogEntry } from './broker.js';
import { isPlaceIn } from './lineage.js';

/** An answer of `history`: entries as they are in the log. */
export interface History extends Position {
  readonly entries: readonly LogEntry[];
  /** Ends of the earlier epochs of this log, newest first. */
  readonly previous: readonly Position[];
  /** Sequence of the oldest message still stored; `sequence + 1` when none is. */
  readonly firstSequence: number;
  /** False when `since` is not a place in this log any more: the entries then are the oldest stored. */
  readonly continuous: boolean;
}

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
