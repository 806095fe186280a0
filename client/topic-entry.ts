import type { Position } from '../shared/position.js';
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

/** Where a topic has to begin, so that each subscription gets what it lacks. */
export function earliest(subscriptions: Iterable<Subscription>): Position | undefined {
  let earliestAt: Position | undefined;
  for (const { at } of subscriptions)
    if (at && (!earliestAt || at.sequence < earliestAt.sequence)) earliestAt = at;
  return earliestAt;
}

/** The key of a subscription in the saved state. Topic names have no `#`. */
export function keyOf({ topic, options: { id } }: Subscription): string {
  return id === undefined ? topic : `${topic}#${id}`;
}
