import type { Position } from '../../shared/position.js';
import type { Broker, LogEntry } from './broker.js';
import { isPositionIn } from './lineage.js';

/** The answer of `history`: entries as they are in the log. */
export interface History extends Position {
  readonly entries: readonly LogEntry[];
  /** Ends of the earlier epochs of this log, newest first. */
  readonly previous: readonly Position[];
  /** Sequence of the oldest message still stored; `sequence + 1` if none is stored. */
  readonly firstSequence: number;
  /** False if `since` is no longer a position in this log: then the entries are the oldest stored. */
  readonly continuous: boolean;
}

/**
 * Reads a log for `history`: messages after `since`, or else the newest `limit` messages; always in log
 * order.
 */
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
  if (isPositionIn(slice.end, since)) {
    const continuous = since.sequence + 1 >= slice.end.firstSequence;
    return { ...slice.end, entries: slice.entries, continuous };
  }
  const { end, entries } = await broker.read(topic, 0, limit);
  return { ...end, entries, continuous: false };
}
