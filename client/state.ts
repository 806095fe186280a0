import type { StateFactory } from './client-state.js';
import { SavedState, stateDefaults } from './saved-state.js';
import type { StateStore } from './state-store.js';

export type { StateFactory } from './client-state.js';
export type { StateStore } from './state-store.js';

/** Options of `savedState`. `docs/client.md` lists them; a test compares. */
export interface SavedStateOptions {
  /** `sessionStorage`, `localStorage`, or a store of one's own. */
  readonly store?: 'session' | 'local' | StateStore | undefined;
  readonly key?: string | undefined;
  readonly ttlMs?: number | undefined;
}

/** Positions, session and topics that survive a reload: `createClient({ state: savedState() })`. */
export function savedState(options: SavedStateOptions = {}): StateFactory {
  const { store = stateDefaults.store, key = stateDefaults.key, ttlMs = stateDefaults.ttlMs } = options;
  return (dependencies) => new SavedState(dependencies, store, key, ttlMs);
}
