import type { Position } from '../../shared/position.js';
import type { Broker, LogEnd } from '../log/broker.js';
import { isPositionIn } from '../log/lineage.js';
import type { Activation } from './activations.js';
import { hasReached, isHopeless, type ProvedPosition } from './start-position.js';

/** What a subscription from a position gets of the messages after it. */
export interface Recovery {
  readonly since: Position;
  /** Whether all of them can still be read. */
  readonly recovered: boolean;
  /** Their number; the least number if the position is of another log. */
  readonly missed: number;
}

/** Whether everything after `since` can still be read, and the number of those messages. */
export async function recoveryFrom(
  broker: Pick<Broker, 'read'>,
  { topic, feed }: Pick<Activation, 'topic' | 'feed'>,
  since: ProvedPosition,
): Promise<Recovery> {
  const { written } = topic;
  const { reached } = since;
  if (reached === undefined && since.epoch === written.epoch && since.sequence === written.sequence) {
    return { since, recovered: true, missed: 0 };
  }
  if (isHopeless(since, written)) {
    return { since, recovered: false, missed: written.sequence };
  }
  const { end } = await broker.read(topic.name, since.sequence, 1);
  const isInside = isPositionIn(end, since) && (reached === undefined || hasReached(end, reached));
  if (!isInside) return { since, recovered: false, missed: lostAtLeast(end) };
  // The client was served by a replica that is ahead of this one. Its messages must not come again.
  if (since.sequence > written.sequence || end.epoch !== written.epoch) await feed.reach(end);
  // The log may have been lost since it was read.
  const { position } = feed;
  if (!isPositionIn(position, since)) return { since, recovered: false, missed: position.sequence };
  const recovered = since.sequence + 1 >= end.firstSequence;
  return { since, recovered, missed: end.sequence - since.sequence };
}

/**
 * A position of another log does not show how many messages were missed. The number of messages in this log
 * is the least.
 */
function lostAtLeast(end: LogEnd): number {
  return end.sequence;
}
