import type { Position } from '../shared/position.js';
import { ClientError } from './client-error.js';
import type { Clock } from './clock.js';
import { globals } from './globals.js';
import type { StateStore } from './state-store.js';

interface Content {
  session_id: string | undefined;
  /** Positions by subscription. */
  positions: Record<string, Position>;
  /** The last direct message that was handed over. */
  direct: Position | undefined;
  /** Topics that are subscribed. */
  topics: readonly string[];
  /** Milliseconds since 1970. */
  timestamp: number;
}

interface SavedStateDependencies {
  readonly clock: Clock;
  readonly topics: () => readonly string[];
  readonly onError: (error: ClientError) => void;
}

/**
 * What a client needs to go on after a reload: positions, session id and topics. It is written after each message whose
 * listeners have returned, and when a topic comes or goes.
 */
export class SavedState {
  private content: Content = {
    session_id: undefined,
    positions: {},
    direct: undefined,
    topics: [],
    timestamp: 0,
  };
  private store: StateStore | undefined;
  /** A write is under way; `again`: something has changed since. */
  private writing: 'no' | 'yes' | 'again' = 'no';

  constructor(
    private readonly dependencies: SavedStateDependencies,
    private readonly kind: 'memory' | 'session' | 'local' | StateStore,
    private readonly key: string,
    private readonly ttlMs: number,
  ) {}

  /** Reads what an earlier page has saved. At once, unless the store answers with a promise. */
  load(): Promise<void> | undefined {
    try {
      this.store =
        typeof this.kind === 'object'
          ? this.kind
          : this.kind === 'memory'
            ? undefined
            : this.kind === 'session'
              ? globals.sessionStorage
              : globals.localStorage;
      const text = this.store?.getItem(this.key);
      if (text instanceof Promise)
        return text.then(
          (given) => this.read(given),
          (error) => this.failed(error),
        );
      this.read(text);
    } catch (error) {
      this.failed(error);
    }
    return undefined;
  }

  get sessionId(): string | undefined {
    return this.content.session_id;
  }

  get direct(): Position | undefined {
    return this.content.direct;
  }

  get topics(): readonly string[] {
    return this.content.topics;
  }

  position(key: string): Position | undefined {
    return this.content.positions[key];
  }

  setPosition(key: string, { epoch, sequence }: Position): void {
    this.content.positions[key] = { epoch, sequence };
    this.save();
  }

  setDirect(position: Position): void {
    this.content.direct = position;
    this.save();
  }

  setSession(id: string | undefined): void {
    this.content.session_id = id;
    this.save();
  }

  /** Writes the state, with the present time: what is not written for `ttlMs` is not valid any more. */
  save(): void {
    if (this.store === undefined) return;
    if (this.writing !== 'no') {
      this.writing = 'again';
      return;
    }
    this.content.topics = this.dependencies.topics();
    this.content.timestamp = this.dependencies.clock.wallTime();
    try {
      const written = this.store.setItem(this.key, JSON.stringify(this.content));
      if (!(written instanceof Promise)) return;
      this.writing = 'yes';
      void written
        .catch((error) => this.failed(error))
        .then(() => {
          const isStale = this.writing === 'again';
          this.writing = 'no';
          if (isStale) this.save();
        });
    } catch (error) {
      this.failed(error);
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.content = { session_id: undefined, positions: {}, direct: undefined, topics: [], timestamp: 0 };
    this.store?.removeItem(this.key);
  }

  private read(text: string | null | undefined): void {
    if (text === null || text === undefined) return;
    const read = JSON.parse(text) as Content;
    const ageMs = this.dependencies.clock.wallTime() - read.timestamp;
    // A clock that was set back must not make a state valid for ever.
    if (Math.abs(ageMs) <= this.ttlMs && typeof read.positions === 'object')
      this.content = { ...this.content, ...read };
    else this.store?.removeItem(this.key);
  }

  private failed(cause: unknown): void {
    this.dependencies.onError(
      new ClientError('store_failed', `the state cannot be kept: ${String(cause)}`, { cause }),
    );
  }
}
