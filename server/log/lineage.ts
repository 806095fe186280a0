import type { Position } from '../../shared/position.js';
import type { LogEnd } from './broker.js';

/** What is known of a log's epochs: its current position and the ends of the epochs it continues, newest first. */
export type Lineage = Position & Pick<LogEnd, 'previous'>;

/**
 * Whether a position is a place in this log: in the current epoch up to its end, or in an earlier epoch up to the point where the
 * log was continued. A position beyond that point saw messages which the log has lost.
 */
export function isPlaceIn(log: Lineage, position: Position): boolean {
  if (position.epoch === log.epoch) return position.sequence <= log.sequence;
  const earlier = log.previous.find((end) => end.epoch === position.epoch);
  return earlier !== undefined && position.sequence <= earlier.sequence;
}

/** The epoch under which the message of this sequence was appended. */
export function epochAt(log: Lineage, sequence: number): string {
  let epoch = log.epoch;
  for (const end of log.previous) {
    if (sequence > end.sequence) return epoch;
    epoch = end.epoch;
  }
  return epoch;
}

/**
 * The sequence up to which two states of a log hold the same messages; undefined if they have no epoch in common. A log that was restored from an
 * old copy may not know the newest epochs of the other state, but it does know the older ones.
 */
export function sharedPlace(one: Lineage, other: Lineage): number | undefined {
  for (const end of [one, ...one.previous]) {
    const same = end.epoch === other.epoch ? other : other.previous.find(({ epoch }) => epoch === end.epoch);
    if (same !== undefined) return Math.min(end.sequence, same.sequence);
  }
  return undefined;
}
