import type { Recovery } from '../clients/subscriber.js';
import type { WireKind } from '../clients/wire.js';
import type { World, WorldPlan } from '../world.js';

/** How many clients there are, and what they do. */
export interface Load {
  readonly topics: number;
  /** Messages per second of each publisher. */
  readonly perSec: number;
  readonly payloadBytes?: number;
  /** Further subscribers, which leave for good when a replica is killed: presence must not keep them. */
  readonly guests?: number;
}

/** One kind of trouble. */
export interface Scenario extends WorldPlan {
  readonly name: string;
  /** What happens, in one line. */
  readonly what: string;
  readonly load?: Partial<Load>;
  /** Also runs replicas of an older release. */
  readonly needsOld?: true;
  /** Only these promises are checked: others the older release has not made. */
  readonly checks?: RegExp;
  /** The faults. When it resolves, everything is repaired and the clients have time to settle. */
  run(world: World): Promise<void>;
}

/** The clients of every run: each way to recover on each wire. */
export const subscriberKinds: readonly (readonly [WireKind, Recovery])[] = [
  ['websocket', 'positions'],
  ['json', 'positions'],
  ['polling', 'positions'],
  ['upgrade', 'session'],
  ['json', 'session'],
  ['websocket', 'session'],
];

export const publisherKinds: readonly WireKind[] = ['websocket', 'json', 'polling', 'http'];
