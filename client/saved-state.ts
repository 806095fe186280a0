import { ClientError } from './client-error.js';
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
  /** A write is under way; `again`: something has changed since. */
  private writing: 'no' | 'yes' | 'again' = 'no';
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

  /** @internal */
  override load(): Promise<void> | undefined {
    try {
      const { kind } = this;
      this.store = typeof kind === 'object' ? kind : globals[`${kind}Storage`];
      const text = this.store?.getItem(this.key);
      if (text instanceof Promise)
        return text.then((given) => this.read(given)).catch((error: unknown) => this.failed(error));
      this.read(text);
    } catch (error) {
      this.failed(error);
    }
    return undefined;
  }

  /** Writes the state, with the present time: what is not written for `ttlMs` is not valid any more. @internal */
  override save(): void {
    if (this.store === undefined) return;
    if (this.writing !== 'no') {
      this.writing = 'again';
      return;
    }
    this.content.topics = this.dependencies.topics();
    const timestamp = this.dependencies.clock.wallTime();
    try {
      const written = this.store.setItem(this.key, JSON.stringify({ ...this.content, timestamp }));
      if (!(written instanceof Promise)) return this.wrote();
      this.writing = 'yes';
      void written
        .then(
          () => this.wrote(),
          (error) => this.wrote({ error }),
        )
        .then(() => {
          const isStale = this.writing === 'again';
          this.writing = 'no';
          if (isStale) this.save();
        });
    } catch (error) {
      this.wrote({ error });
    }
  }

  /** A full store fails with each message: it is reported once. */
  private wrote(failure?: { readonly error: unknown }): void {
    if (failure && !this.isFailing) this.failed(failure.error);
    this.isFailing = !!failure;
  }

  private read(text: string | null | undefined): void {
    if (text === null || text === undefined) return;
    const { timestamp, ...read } = JSON.parse(text) as StateContent & { readonly timestamp: number };
    const ageMs = this.dependencies.clock.wallTime() - timestamp;
    // A clock that was set back must not make a state valid for ever.
    if (Math.abs(ageMs) <= this.ttlMs && typeof read.positions === 'object')
      Object.assign(this.content, read, { positions: Object.assign(this.content.positions, read.positions) });
    else this.store?.removeItem(this.key);
  }

  private failed(cause: unknown): void {
    this.dependencies.onError(
      new ClientError('store_failed', `the state cannot be kept: ${String(cause)}`, { cause }),
    );
  }
}
