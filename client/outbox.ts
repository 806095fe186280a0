import { indexedDbStore } from './indexed-db-store.js';
import type { OutgoingFactory } from './outgoing.js';
import type { OutgoingStore } from './outgoing-store.js';
import { StoredOutgoing } from './stored-outgoing.js';

export type { OutgoingItem, OutgoingFactory } from './outgoing.js';
export type { OutgoingStore } from './outgoing-store.js';

export interface OutboxOptions {
  /** Name of the database in IndexedDB. */
  readonly name?: string;
  /** A store of one's own instead. */
  readonly store?: OutgoingStore;
}

/**
 * Keeps what is published until it is confirmed: `createClient({ outgoing: { store: createOutbox() } })`. A page that is
 * closed or reloaded leaves it to the next one, or to another one that is open, which sends it with the same keys.
 */
export function createOutbox({ name = 'rtc_outbox', store }: OutboxOptions = {}): OutgoingFactory {
  return (dependencies, options) => new StoredOutgoing(dependencies, options, store ?? indexedDbStore(name));
}
