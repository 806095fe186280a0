import type { Position } from '../../shared/position.js';
import type { LogEnd } from './broker.js';

/** The epochs of a log: its current position and the ends of the epochs it continues, newest first. */
export type Lineage = Position & Pick<LogEnd, 'previous'>;

/**
 * Whether a position is in this log: in the current epoch up to its end, or in an earlier epoch up to the
 * point where the log was continued. A position after that point includes messages that the log has lost.
 */
export function isPositionIn(log: Lineage, position: Position): boolean {
  if (position.epoch === log.epoch) return position.sequence <= log.sequence;
  const earlier = log.previous.find((end) => end.epoch === position.epoch);
  return earlier !== undefined && position.sequence <= earlier.sequence;
}

/** The epoch in which the message with this sequence was appended. */
export function epochAt(log: Lineage, sequence: number): string {
  let epoch = log.epoch;
  for (const end of log.previous) {
    if (sequence > end.sequence) return epoch;
    epoch = end.epoch;
  }
  return epoch;
}

/**
 * The sequence up to which two states of a log hold the same messages; undefined if they have no epoch in
 * common. A log restored from an old copy may lack the newest epochs of the other state, but it has the older
 * ones.
 */
export function sharedSequence(one: Lineage, other: Lineage): number | undefined {
  for (const end of [one, ...one.previous]) {
    const same = end.epoch === other.epoch ? other : other.previous.find(({ epoch }) => epoch === end.epoch);
    if (same !== undefined) return Math.min(end.sequence, same.sequence);
  }
  return undefined;
}
