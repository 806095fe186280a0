import type { Position } from '../../shared/position.js';
import type { Broker, LogEntry } from './broker.js';
import { messageIdOf } from './entry.js';
import { epochAt } from './lineage.js';
import { startAfterId, startAt, type MissedStart } from './missed-start.js';
import { PageMeter, type PageLimits } from './page.js';

export interface MissedRequest extends PageLimits {
  /** Id of the last message that the client received. */
  readonly since: string;
  /** Positions at which an earlier answer has ended, by topic. */
  readonly positions: ReadonlyMap<string, Position>;
}

/** A page of the messages of several topics that came after a given one. */
export interface Missed {
  /** By id, in the order of each topic's log. */
  readonly messages: readonly MissedMessage[];
  /** Whether these are all, and no log may have lost any. */
  readonly complete: boolean;
  /** `positions` of the next request; undefined: there are no further messages. */
  readonly next: ReadonlyMap<string, Position> | undefined;
}

interface MissedMessage {
  readonly topic: string;
  readonly epoch: string;
  readonly item: LogEntry;
}

/** A topic with messages that are not in the page yet. */
interface Source {
  readonly start: MissedStart;
  /** Sequence up to which its messages are in the page. */
  taken: number;
  /** Id of the next message. */
  head: string;
  /** The next messages, as far as they are in memory. */
  held: readonly LogEntry[];
}

/** Topics that are looked up at the same time. */
const lookups = 16;
const chunkMessages = 16;
const chunkBytesLeast = 4096;

/** Reads a page, merging the topics. Never holds more than a few messages of each topic. */
export async function readMissed(
  broker: Broker,
  topics: readonly string[],
  request: MissedRequest,
): Promise<Missed> {
  const { since, positions, limit } = request;
  const starts: MissedStart[] = [];
  for (let i = 0; i < topics.length; i += lookups) {
    const some = topics.slice(i, i + lookups).map((topic) => {
      const position = positions.get(topic);
      return position === undefined
        ? startAfterId(broker, topic, since, limit)
        : startAt(broker, topic, position);
    });
    starts.push(...(await Promise.all(some)));
  }
  const merge = new Merge(broker, request, starts);
  const { messages, isLast, hasHole } = await merge.run();
  return {
    messages,
    complete: isLast && !hasHole && starts.every((start) => start.complete),
    next: isLast ? undefined : nextPositions(positions, messages),
  };
}

function nextPositions(
  before: ReadonlyMap<string, Position>,
  messages: readonly MissedMessage[],
): Map<string, Position> {
  const next = new Map(before);
  for (const { topic, epoch, item } of messages) next.set(topic, { epoch, sequence: item.sequence });
  return next;
}

/** Merges topics by the ids of their messages, into one page. */
class Merge {
  private readonly meter: PageMeter;
  /** The one with the lowest head last. */
  private readonly sources: Source[] = [];
  private readonly chunkBytes: number;
  private heldBytes = 0;

  constructor(
    private readonly broker: Broker,
    private readonly limits: PageLimits,
    private readonly starts: readonly MissedStart[],
  ) {
    this.meter = new PageMeter(limits);
    this.chunkBytes = Math.max(chunkBytesLeast, Math.floor(limits.bytes / Math.max(1, starts.length)));
  }

  async run(): Promise<{ messages: MissedMessage[]; isLast: boolean; hasHole: boolean }> {
    let hasHole = false;
    for (const start of this.starts) {
      if (start.after === undefined) continue;
      const source: Source = { start, taken: start.after, head: '', held: [] };
      if (await this.fill(source)) this.insert(source);
    }
    const messages: MissedMessage[] = [];
    for (let source = this.sources.pop(); source !== undefined; source = this.sources.pop()) {
      if (source.held.length === 0 && !(await this.fill(source))) continue;
      const [item, ...rest] = source.held as [LogEntry, ...LogEntry[]];
      if (!this.meter.take(item)) return { messages, isLast: false, hasHole };
      hasHole ||= item.sequence > source.taken + 1;
      const { topic, end } = source.start;
      messages.push({ topic, epoch: epochAt(end, item.sequence), item });
      this.heldBytes -= item.entry.length;
      source.taken = item.sequence;
      source.held = rest;
      if (rest.length > 0) source.head = messageIdOf(rest[0]!.entry);
      else if (!(await this.fill(source))) continue;
      this.insert(source);
    }
    return { messages, isLast: true, hasHole };
  }

  /** Reads the next messages of a topic, up to the end that its log had at first. False if there are none. */
  private async fill(source: Source): Promise<boolean> {
    const { topic, end } = source.start;
    if (source.taken >= end.sequence) return false;
    const slice = await this.broker.read(topic, source.taken, chunkMessages, this.chunkBytes);
    source.held = slice.entries.filter(({ sequence }) => sequence <= end.sequence);
    const [head] = source.held;
    if (head === undefined) return false;
    source.head = messageIdOf(head.entry);
    const bytes = source.held.reduce((sum, { entry }) => sum + entry.length, 0);
    // With many topics of large messages only the ids are kept. The messages are read again at their turn.
    if (this.heldBytes + bytes > 2 * this.limits.bytes && this.sources.length > 0) this.release();
    this.heldBytes += bytes;
    return true;
  }

  /** Lets the messages of all waiting topics go. */
  private release(): void {
    for (const source of this.sources) source.held = [];
    this.heldBytes = 0;
  }

  private insert(source: Source): void {
    const { sources } = this;
    let low = 0;
    let high = sources.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sources[middle]!.head > source.head) low = middle + 1;
      else high = middle;
    }
    sources.splice(low, 0, source);
  }
}
