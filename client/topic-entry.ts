import type { Position } from '../shared/position.js';
import type { Subscription } from './subscription.js';

/** `asked`: `subscribe` is on its way; `ended`: the service does not want it to be asked again. */
type WireState = 'none' | 'asked' | 'joined' | 'refused' | 'ended';

/** @internal */
export interface TopicEntry {
  readonly subscriptions: Set<Subscription>;
  state: WireState;
  /** Where the service was asked to begin. */
  since?: Position | undefined;
  /** What this connection has received of the topic. */
  at?: Position | undefined;
  watchesPresence: boolean;
}

export function wantsPresence({ subscriptions }: TopicEntry): boolean {
  return [...subscriptions].some(({ options }) => options.presence === true);
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
