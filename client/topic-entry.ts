import type { Position, Positions } from '../shared/position.js';
import type { Subscription } from './subscription.js';

/** How a topic is subscribed on the wire. */
export const enum WireState {
  None,
  /** `subscribe` is on its way. */
  Asked,
  Joined,
  Refused,
  /** The service does not want it to be asked again. */
  Ended,
}

/** @internal */
export interface TopicEntry {
  readonly subscriptions: Set<Subscription>;
  wireState: WireState;
  /** Where the service was asked to begin. */
  askedSince?: Position | undefined;
  /** What this connection has received of the topic. */
  at?: Position | undefined;
  /** False: not, or refused, so that the topic is asked for without them. */
  watchesPresence?: boolean | undefined;
}

export function wantsPresence({ subscriptions }: TopicEntry): boolean {
  return [...subscriptions].some(({ options }) => options.presence);
}

/** Where topics have to begin, so that each subscription gets what it lacks: it is kept in their entries. */
export function askedSince(entries: Iterable<readonly [string, TopicEntry]>): Positions {
  const since: Record<string, Position> = {};
  for (const [topic, entry] of entries) {
    entry.askedSince = undefined;
    if (entry.wireState !== WireState.Ended)
      for (const { at } of entry.subscriptions)
        if (at && at.sequence < (entry.askedSince?.sequence ?? Infinity))
          since[topic] = entry.askedSince = at;
  }
  return since;
}

/** The key of a subscription in the saved state. Topic names have no `#`. */
export function keyOf({ topic, options: { id } }: Subscription): string {
  return id === undefined ? topic : `${topic}#${id}`;
}
