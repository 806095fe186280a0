import type { Position } from '../../shared/position.js';
import type { Broker, LogEnd } from './broker.js';
import { messageIdOf } from './entry.js';
import { isPositionIn } from './lineage.js';

/** Where the missed messages of a topic begin. */
export interface MissedStart {
  readonly topic: string;
  readonly end: LogEnd;
  /** Sequence of the message before the first missed one; undefined: none was missed. */
  readonly after: number | undefined;
  /** Whether the log reaches back far enough to be sure that no older message was missed. */
  readonly complete: boolean;
}

/**
 * Ids are ordered by the time at which a replica has received their messages. In the log, messages of
 * different replicas are in this order only up to some milliseconds, by how far their clocks differ.
 */
const toleranceMs = 5000;
/** A search stops when the range has this many messages: they are read one after the other. */
const narrowEnough = 16;
const scanMessages = 64;
const scanBytes = 65_536;

/** The missed messages after a position: an earlier answer has ended there. */
export async function startAt(broker: Broker, topic: string, position: Position): Promise<MissedStart> {
  const { end } = await broker.read(topic, position.sequence, 1);
  const isKnown = isPositionIn(end, position);
  const after = isKnown ? position.sequence : 0;
  return { topic, end, after, complete: isKnown && after + 1 >= end.firstSequence };
}

/**
 * Finds where the messages after the one of an id begin, among the newest `window` messages: after that
 * message if it is there, or else at the first message with a later id. Reads single messages, and then only
 * those of about the same time.
 */
export async function startAfterId(
  broker: Broker,
  topic: string,
  since: string,
  window: number,
): Promise<MissedStart> {
  const { end, entries } = await broker.readLast(topic, 1);
  const newest = entries[0];
  if (newest === undefined) return { topic, end, after: undefined, complete: end.sequence === 0 };
  const sinceMs = messageTimeOf(since);
  const isEarlier = (id: string) => messageTimeOf(id) < sinceMs - toleranceMs;
  const idAt = async (sequence: number) => {
    const [found] = (await broker.read(topic, sequence - 1, 1)).entries;
    return found === undefined ? undefined : messageIdOf(found.entry);
  };
  const bottom = Math.max(end.firstSequence, end.sequence - window + 1) - 1;

  // From the end backwards, in steps that double, because usually few messages were missed.
  let low = bottom;
  let high = end.sequence + 1;
  let reachesBack = bottom === 0;
  for (let step = 1; high - step > bottom; step *= 2) {
    const id = await idAt(high - step);
    if (id === undefined || !isEarlier(id)) high -= step;
    else {
      low = high - step;
      reachesBack = true;
      break;
    }
  }
  while (high - low > narrowEnough) {
    const middle = Math.floor((low + high) / 2);
    const id = await idAt(middle);
    if (id !== undefined && isEarlier(id)) {
      low = middle;
      reachesBack = true;
    } else high = middle;
  }

  let after: number | undefined;
  for (let at = low; ;) {
    const slice = await broker.read(topic, at, scanMessages, scanBytes);
    for (const { sequence, entry } of slice.entries) {
      const id = messageIdOf(entry);
      if (id === since) return { topic, end, after: sequence, complete: true };
      if (id < since && after === undefined) reachesBack = true;
      if (id > since) after ??= sequence - 1;
      if (messageTimeOf(id) > sinceMs + toleranceMs) return { topic, end, after, complete: reachesBack };
      at = sequence;
    }
    if (slice.entries.length < scanMessages && !slice.truncated)
      return { topic, end, after, complete: reachesBack };
  }
}

/** Milliseconds since 1970 of a UUIDv7 (RFC 9562). */
export function messageTimeOf(id: string): number {
  return parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
