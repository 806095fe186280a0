import type { Position } from '../../../shared/position.js';
import { inSlices } from '../../primitives/in-slices.js';

interface ActiveTopicInfo {
  readonly name: string;
  readonly subscribers: number;
  readonly behind: number;
  readonly position: Position;
}

/** A topic on one replica, with its rate. */
export interface BusyTopic {
  readonly topic: string;
  readonly subscribers: number;
  readonly behind: number;
  /** Null: there are no two looks to compare yet. */
  readonly messages_per_sec: number | null;
}

/** A topic while they are compared. */
interface Found {
  readonly name: string;
  readonly subscribers: number;
  readonly behind: number;
  /** Since the look before; null: it was not seen then. */
  readonly messages: number | null;
  /** Deliveries since then. */
  readonly load: number;
}

interface BusiestTopicsDependencies {
  readonly activeTopics: () => Iterable<ActiveTopicInfo>;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

const shown = 20;
/** Positions are remembered of this many topics: a replica with more compares those that were active longest. */
const comparedTopics = 100_000;
/** Looks that are further apart are not compared: nobody was watching. */
const longestLookMs = 60_000;
/** A second console within this time is answered with the same list. */
const shortestLookMs = 1000;

/**
 * The topics with the most deliveries, found by comparing positions between two looks: publishing pays nothing for it, and neither does
 * a replica that nobody looks at.
 */
export class BusiestTopics {
  private before = new Map<string, number>();
  private lookedAt = -Infinity;
  private list: Promise<readonly BusyTopic[]> = Promise.resolve([]);

  constructor(private readonly dependencies: BusiestTopicsDependencies) {}

  /** Those with the most deliveries per second first, then those with the most subscribers. */
  look(): Promise<readonly BusyTopic[]> {
    const at = this.dependencies.now();
    const sinceMs = at - this.lookedAt;
    if (sinceMs < shortestLookMs) return this.list;
    this.lookedAt = at;
    // One walk at a time: each compares with the one before.
    const walk = () => this.walk(sinceMs);
    return (this.list = this.list.then(walk, walk));
  }

  private async walk(sinceMs: number): Promise<readonly BusyTopic[]> {
    const isFresh = sinceMs > longestLookMs;
    if (isFresh) this.before.clear();
    let busiest: Found[] = [];
    let last: Found | undefined;
    let count = 0;
    await inSlices(this.dependencies.activeTopics(), ({ name, subscribers, behind, position }) => {
      count++;
      const earlier = this.before.get(name);
      if (earlier !== undefined || this.before.size < comparedTopics)
        this.before.set(name, position.sequence);
      // A new epoch may have begun with a smaller sequence.
      const messages = earlier === undefined ? null : Math.max(0, position.sequence - earlier);
      const load = (messages ?? 0) * subscribers;
      // Nearly all of very many topics are passed here.
      if (last !== undefined && (load < last.load || (load === last.load && subscribers <= last.subscribers)))
        return;
      busiest.push({ name, subscribers, behind, messages, load });
      if (busiest.length < 2 * shown) return;
      busiest = firstOf(busiest);
      last = busiest[shown - 1];
    });
    // Topics that have ended are forgotten when they are as many as those that have not.
    if (this.before.size > 2 * count + shown) this.before = new Map();
    return firstOf(busiest).map(({ name, subscribers, behind, messages }) => ({
      topic: name,
      subscribers,
      behind,
      messages_per_sec: messages === null ? null : Number((messages / (sinceMs / 1000)).toFixed(2)),
    }));
  }

  /** Forgets what was seen when nobody has looked for long; to be called now and then. */
  forget(): void {
    if (this.before.size > 0 && this.dependencies.now() - this.lookedAt > longestLookMs)
      this.before = new Map();
  }
}

/** The same topic of several replicas as one: each of them sees all of its messages, and delivers them to its own subscribers. */
export function mergeBusiest(lists: readonly (readonly BusyTopic[])[]): BusyTopic[] {
  const byName = new Map<string, BusyTopic>();
  for (const topic of lists.flat()) {
    const same = byName.get(topic.topic);
    if (same === undefined) byName.set(topic.topic, topic);
    else
      byName.set(topic.topic, {
        topic: topic.topic,
        subscribers: same.subscribers + topic.subscribers,
        behind: same.behind + topic.behind,
        messages_per_sec: larger(same.messages_per_sec, topic.messages_per_sec),
      });
  }
  return first([...byName.values()]);
}

/** Messages per second to all subscribers together. */
export function deliveriesPerSec({ subscribers, messages_per_sec: messages }: BusyTopic): number | null {
  return messages === null ? null : Number((messages * subscribers).toFixed(1));
}

function larger(one: number | null, other: number | null): number | null {
  return one === null ? other : other === null ? one : Math.max(one, other);
}

function firstOf(found: Found[]): Found[] {
  return found
    .sort((one, other) => other.load - one.load || other.subscribers - one.subscribers)
    .slice(0, shown);
}

function first(topics: BusyTopic[]): BusyTopic[] {
  const load = (topic: BusyTopic) => deliveriesPerSec(topic) ?? 0;
  return topics
    .sort((one, other) => load(other) - load(one) || other.subscribers - one.subscribers)
    .slice(0, shown);
}
