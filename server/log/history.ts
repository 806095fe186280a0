import type { Position } from '../../shared/position.js';
import type { Broker, LogEnd, LogEntry } from './broker.js';
import { countBeforeHole } from './holes.js';
import { epochAt, isPositionIn } from './lineage.js';
import { fitPage, type PageLimits } from './page.js';

/** The field of the next request, which continues where a page ends. */
type NextPage = { readonly since: Position } | { readonly before: Position };

/** The answer of `history`: entries as they are in the log. */
export interface History extends Position {
  readonly entries: readonly LogEntry[];
  /** Ends of the earlier epochs of this log, newest first. */
  readonly previous: readonly Position[];
  /** Sequence of the oldest message still stored; `sequence + 1` if none is stored. */
  readonly firstSequence: number;
  /**
   * False if `since` is no longer a position in this log: then the entries are the oldest stored. False if
   * `before` is none: then there are no entries. False if messages between the entries are missing.
   */
  readonly continuous: boolean;
  /** Where the next page begins; undefined: there are no further messages in this direction. */
  readonly next: NextPage | undefined;
  /** Fewer messages than the limit, because of the size of the page. */
  readonly truncated: boolean;
}

export interface HistoryRequest extends PageLimits {
  /** Messages after this position. */
  readonly since?: Position;
  /** The newest messages before this position; with neither, the newest of all. */
  readonly before?: Position;
}

/** Reads a page of a log for `history`, always in log order. Never reads more than the page. */
export async function readHistory(broker: Broker, topic: string, request: HistoryRequest): Promise<History> {
  return request.since === undefined
    ? readNewest(broker, topic, request)
    : readOldest(broker, topic, request, request.since);
}

async function readNewest(broker: Broker, topic: string, request: HistoryRequest): Promise<History> {
  const { limit, bytes, before } = request;
  const slice = await broker.readLast(topic, limit, bytes, before?.sequence);
  const { end } = slice;
  // A `before` at the end of the log is a position too: a page may begin behind the newest message.
  if (before !== undefined && !isPositionIn(end, before))
    return { ...end, entries: [], continuous: false, next: undefined, truncated: false };
  const entries = fitPage(slice.entries, request, 'newest');
  const truncated = slice.truncated || entries.length < slice.entries.length;
  const first = entries[0]?.sequence;
  const next = first === undefined || first <= end.firstSequence ? undefined : { before: at(end, first) };
  return { ...end, entries, continuous: hasNoHole(entries), next, truncated };
}

async function readOldest(
  broker: Broker,
  topic: string,
  request: HistoryRequest,
  since: Position,
): Promise<History> {
  const { limit, bytes } = request;
  let slice = await broker.read(topic, since.sequence, limit, bytes);
  let continuous = true;
  if (isPositionIn(slice.end, since)) continuous = since.sequence + 1 >= slice.end.firstSequence;
  else {
    continuous = false;
    slice = await broker.read(topic, 0, limit, bytes);
  }
  const { end } = slice;
  const entries = fitPage(slice.entries, request, 'oldest');
  const truncated = slice.truncated || entries.length < slice.entries.length;
  const last = entries[entries.length - 1]?.sequence;
  const next = last === undefined || last >= end.sequence ? undefined : { since: at(end, last) };
  return { ...end, entries, continuous: continuous && hasNoHole(entries), next, truncated };
}

function hasNoHole(entries: readonly LogEntry[]): boolean {
  return countBeforeHole(entries) === entries.length;
}

function at(end: LogEnd, sequence: number): Position {
  return { epoch: epochAt(end, sequence), sequence };
}
