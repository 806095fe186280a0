import { RefusalError } from '../../shared/errors.js';
import type { Position } from '../../shared/position.js';
import { isPositionIn, type Lineage } from '../log/lineage.js';

/**
 * A position that no log has: what a client knew is unknown. A subscription from it is answered
 * `recovered: false`.
 */
export const unknownPosition: Position = Object.freeze({ epoch: 'unknown', sequence: 0 });

/** Where a session goes on. */
export interface ProvedPosition extends Position {
  /**
   * Up to where its client may have received messages, if that is further. If the log has lost some of them, the
   * client has to be notified, although it goes on before them.
   */
  readonly reached?: Position;
}

/** In place of a sequence: nobody knows how far in the epoch. */
const anySequence = Number.MAX_SAFE_INTEGER;

/** That a client may have received messages anywhere after a position, in its epoch. */
export function reachedUnknown({ epoch }: Position): Position {
  return { epoch, sequence: anySequence };
}

/** Whether the log still has what a client may have received. What nobody knows is in the epoch that goes on. */
export function hasReached(log: Lineage, reached: Position): boolean {
  return reached.sequence === anySequence ? reached.epoch === log.epoch : isPositionIn(log, reached);
}

/** Longest epoch. Those of the service are much shorter. */
const epochLimit = 64;

/**
 * A replica is never this many messages behind the log: by then it has compared its position with the end of
 * the log.
 */
const farAhead = 10_000_000;

/**
 * Reads a position that a client gives for one topic. Null is none. What cannot be a position, of whatever
 * type, becomes {@link unknownPosition}: the client gets the subscription, and is notified of the loss.
 */
export function readPosition(value: unknown): Position | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object') return unknownPosition;
  const { epoch, sequence } = value as Record<string, unknown>;
  if (typeof epoch !== 'string' || epoch === '' || epoch.length > epochLimit) return unknownPosition;
  if (!Number.isSafeInteger(sequence) || (sequence as number) < 0) return unknownPosition;
  return { epoch, sequence: sequence as number };
}

/**
 * Reads positions by topic, as {@link readPosition}.
 *
 * @throws RefusalError `invalid_message` if the value is not an object, or has more than `limit` entries
 */
export function readPositions(value: unknown, field: string, limit: number): ReadonlyMap<string, Position> {
  const positions = new Map<string, Position>();
  if (value === undefined || value === null) return positions;
  if (typeof value !== 'object' || Array.isArray(value))
    throw new RefusalError('invalid_message', `${field} must map topics to { epoch, sequence }`, { field });
  let entries = 0;
  for (const topic in value) {
    if (++entries > limit)
      throw new RefusalError('invalid_message', `${field} may have ${limit} entries`, { field, limit });
    const position = readPosition((value as Record<string, unknown>)[topic]);
    if (position !== undefined) positions.set(topic, position);
  }
  return positions;
}

/**
 * Whether a position cannot be in a log that this replica has received up to `written`. If not, the log
 * itself decides: it may be ahead of this replica.
 */
export function isHopeless(since: Position, written: Position): boolean {
  return since.epoch === unknownPosition.epoch || since.sequence > written.sequence + farAhead;
}

/**
 * Where a subscription starts.
 *
 * @param given the position that the client gives
 * @param own the position of its session, if the session has the topic
 * @param mayReadHistory without that right, a client cannot go back behind the position of its session
 */
export function startOf(
  given: Position | undefined,
  own: ProvedPosition | undefined,
  mayReadHistory: boolean,
): ProvedPosition | undefined {
  if (given === undefined) return own;
  if (mayReadHistory || given === unknownPosition) return given;
  if (own === undefined) return unknownPosition;
  return given.epoch === own.epoch && given.sequence > own.sequence ? given : own;
}
