import type { Position } from '../shared/position.js';
import type { ClientError } from './client-error.js';
import type { Clock } from './clock.js';

/** What a client needs to go on where it was. */
export interface StateContent {
  session_id?: string | undefined;
  /** Positions by subscription. */
  readonly positions: Record<string, Position>;
  /** The last direct message that was handed over. */
  direct?: Position | undefined;
  /** Topics that are subscribed. */
  topics: readonly string[];
}

/** Keeps it in memory. `client/state` keeps it over reloads. */
export class ClientState {
  content: StateContent = {
    // A topic may be called like a member of every object.
    positions: { __proto__: null } as unknown as StateContent['positions'],
    topics: [],
  };

  /** Reads what an earlier page has saved. At once, or when the promise is resolved. */
  load(): Promise<void> | undefined {
    return undefined;
  }

  /** The content has changed, or is to be valid for longer. */
  save(): void {}
}

export interface ClientStateDependencies {
  readonly clock: Clock;
  readonly topics: () => readonly string[];
  readonly onError: (error: ClientError) => void;
}

/** Makes the state of a client: `savedState()` of `realtime-communication/client/state`. */
export type StateFactory = (dependencies: ClientStateDependencies) => ClientState;
