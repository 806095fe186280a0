import { failed } from './client-error.js';
import { ClientState, type ClientStateDependencies, type StateContent } from './client-state.js';
import { globals } from './globals.js';
import type { StateStore } from './state-store.js';

/** Defaults of `savedState`. Times in milliseconds. */
export const stateDefaults = { store: 'session', key: 'rtc_state', ttlMs: 300_000 } as const;

/**
 * Positions, session and topics that survive a reload. Written after each message whose listeners have returned, and when a
 * topic comes or goes.
 */
export class SavedState extends ClientState {
  private store: StateStore | undefined;
  /** One answer of a store that makes promises: a later one would be older than what is in memory. */
  private loading: Promise<void> | undefined;
  private isWriting = false;
  /** Something has changed since the last write. */
  private isStale = false;
  /** The last write has failed. */
  private isFailing = false;

  constructor(
    private readonly dependencies: ClientStateDependencies,
    private readonly kind: 'session' | 'local' | StateStore,
    private readonly key: string,
    private readonly ttlMs: number,
  ) {
    super();
  }

  override load(): Promise<void> | undefined {
    if (this.loading) return this.loading;
    try {
      const { kind } = this;
      this.store = typeof kind === 'object' ? kind : globals[`${kind}Storage`];
      const text = this.store?.getItem(this.key);
      if (text && typeof text !== 'string')
        return (this.loading = Promise.resolve(text)
          .then((given) => this.read(given))
          .catch(this.failed));
      this.read(text);
    } catch (error) {
      this.failed(error);
    }
    return undefined;
  }

  /** Writes the state, with the present time: what is not written for `ttlMs` is not valid any more. */
  override save(): void {
    this.isStale = true;
    if (this.store && !this.isWriting) void this.write(this.store);
  }

  /** One write at a time; to a store that needs no promise, at once. A full one fails with each message: that is reported once. */
  private async write(store: StateStore): Promise<void> {
    this.isWriting = true;
    while (this.isStale) {
      this.isStale = false;
      this.content.topics = this.dependencies.topics();
      const timestamp = this.dependencies.clock.wallTime();
      try {
        const written = store.setItem(this.key, JSON.stringify({ ...this.content, timestamp }));
        if ((written as Partial<PromiseLike<unknown>> | undefined)?.then) await written;
        this.isFailing = false;
      } catch (error) {
        if (!this.isFailing) this.failed(error);
        this.isFailing = true;
      }
    }
    this.isWriting = false;
  }

  private read(text: string | null | undefined): void {
    if (!text) return;
    const { timestamp, ...read } = JSON.parse(text) as StateContent & { readonly timestamp: number };
    const ageMs = this.dependencies.clock.wallTime() - timestamp;
    const { positions } = read;
    // The service refuses a client with a damaged position for good.
    const isWhole = positions && Object.values(positions).every((at) => at?.epoch && at.sequence >= 0);
    // A clock that was set back must not make a state valid for ever.
    if (Math.abs(ageMs) <= this.ttlMs && isWhole)
      Object.assign(this.content, read, { positions: Object.assign(this.content.positions, positions) });
    else Promise.resolve(this.store?.removeItem(this.key)).catch(this.failed);
  }

  private readonly failed = (cause: unknown): void =>
    this.dependencies.onError(failed('store_failed', 'the state is not kept', cause));
}
