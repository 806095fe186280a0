import { ClientError } from './client-error.js';
import type { Clock, Timer } from './clock.js';
import { sizeOf } from './message-size.js';

/** A `publish` or `direct` that is not confirmed yet. */
export interface OutgoingItem {
  readonly command: 'publish' | 'direct';
  /** The request, with its `key`. */
  readonly body: { readonly key: string } & Readonly<Record<string, unknown>>;
  /** First time that it was sent, in milliseconds since 1970; undefined: never. */
  sentAt?: number | undefined;
}

/** Keeps what is not confirmed, over reloads. */
export interface OutgoingStore {
  load(): Promise<OutgoingItem[]>;
  /** Resolves when the item is stored. */
  put(item: OutgoingItem): Promise<void>;
  /**
   * An item is about to be sent for the first time by this page: stores `sentAt`, unless it has one. Resolves to it, in
   * milliseconds since 1970; to undefined if the item is not stored any more, because another page has it confirmed.
   */
  sending(key: string, at: number): Promise<number | undefined>;
  remove(key: string): Promise<void>;
  /** Calls back when another page has left items, until the returned function is called. */
  watch?(onLeft: () => void): () => void;
}

export interface OutgoingOptions {
  /** Messages that may wait. More are refused with `queue_full`. */
  readonly max: number;
  /** Their bytes. */
  readonly maxBytes: number;
  /** A message that was sent, is not confirmed, and is older than this, is not sent again: `unknown`. In milliseconds; below the service's `topics.idempotency_window_secs`. */
  readonly windowMs: number;
  /** Messages on the wire at a time. */
  readonly inFlightMax: number;
  /** Keeps the queue over reloads. Undefined: in memory. */
  readonly store: OutgoingStore | undefined;
}

interface OutgoingDependencies {
  /** Sends a command; rejects with a ClientError, `not_connected` if the connection was lost before the answer. */
  readonly request: (command: string, body: object) => Promise<unknown>;
  readonly isConnected: () => boolean;
  readonly clock: Clock;
  /** A message of an earlier page, whose outcome cannot be learned any more. */
  readonly onUnknown: (item: OutgoingItem) => void;
  readonly onError: (error: ClientError) => void;
}

interface Waiting extends OutgoingItem {
  readonly bytes: number;
  /** Another page has published it. */
  readonly isLeft?: true;
  /** The same moment as `sentAt`, on the monotonic clock. */
  sentNow?: number;
  isInFlight: boolean;
  /** Being written to the store. */
  isStoring: boolean;
  /** It is in the store. */
  isStored: boolean;
  readonly resolve: (receipt: unknown) => void;
  readonly reject: (error: ClientError) => void;
}

/** Refusals after which the library repeats a message by itself, with the same key. */
const repeatedCodes =
  'rate_limited busy at_capacity unavailable outcome_unknown shutting_down timeout not_connected'.split(' ');
const pauseMs = 250;

/**
 * What is published, until it is confirmed: in the order of the calls, repeated with the same key over reconnections, so
 * that the service stores each message once.
 */
export class Outgoing {
  /** Oldest first. A Map, because any item may be confirmed first. */
  private readonly items = new Map<string, Waiting>();
  private bytes = 0;
  private inFlight = 0;
  private pause: Timer | undefined;
  private isClosed = false;
  private loaded: Promise<void> | undefined;
  private stopWatching: (() => void) | undefined;

  constructor(
    private readonly dependencies: OutgoingDependencies,
    private readonly options: OutgoingOptions,
  ) {}

  get size(): {
    readonly messages: number;
    readonly bytes: number;
    readonly max: number;
    readonly maxBytes: number;
  } {
    const { max, maxBytes } = this.options;
    return { messages: this.items.size, bytes: this.bytes, max, maxBytes };
  }

  /** Resolves to the service's answer. Rejects with a ClientError. */
  add(item: OutgoingItem): Promise<unknown> {
    const bytes = sizeOf(item.body);
    const { max, maxBytes, store } = this.options;
    const refusal = this.isClosed
      ? new ClientError('closed', 'the client is closed')
      : this.items.has(item.body.key)
        ? new ClientError('conflict', 'a message with this key is waiting already', { field: 'key' })
        : this.items.size >= max || this.bytes + bytes > maxBytes
          ? new ClientError('queue_full', `${this.items.size} messages wait to be sent`, { limit: max })
          : undefined;
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        ...item,
        bytes,
        isInFlight: false,
        isStoring: store !== undefined,
        isStored: false,
        resolve,
        reject,
      };
      this.items.set(item.body.key, waiting);
      this.bytes += bytes;
      if (store === undefined) return this.pump();
      this.watch();
      void store
        .put(item)
        .then(() => (waiting.isStored = true))
        .catch((cause: unknown) => this.storeFailed(cause))
        .then(() => {
          waiting.isStoring = false;
          this.pump();
        });
    });
  }

  /** There is a connection: what waits is sent, first what an earlier page has left. */
  connected(): void {
    this.watch();
    this.loaded ??= this.load(true);
    void this.loaded.then(() => this.pump());
  }

  /** Rejects what waits. A store keeps it. */
  close(): void {
    this.isClosed = true;
    this.stopWatching?.();
    this.dependencies.clock.clearTimer(this.pause);
    for (const { reject } of this.items.values()) reject(new ClientError('closed', 'the client was closed'));
    this.items.clear();
  }

  /** Other pages know then that this one is there, and leave its items to it. */
  private watch(): void {
    this.stopWatching ??= this.options.store?.watch?.(() => {
      if (!this.isClosed && this.loaded !== undefined) void this.load(false).then(() => this.pump());
    });
  }

  /** @param first what was left goes before what this page has published */
  private async load(first: boolean): Promise<void> {
    const { store } = this.options;
    if (store === undefined) return;
    let left: OutgoingItem[];
    try {
      left = await store.load();
    } catch (cause) {
      return this.storeFailed(cause);
    }
    const own = first ? [...this.items] : [];
    if (first) this.items.clear();
    for (const item of left) {
      const { key } = item.body;
      if (this.items.has(key) || own.some(([one]) => one === key)) continue;
      const bytes = sizeOf(item.body);
      this.bytes += bytes;
      this.items.set(key, {
        ...item,
        bytes,
        isLeft: true,
        isInFlight: false,
        isStoring: false,
        isStored: true,
        resolve: () => {},
        reject: (error) => {
          if (error.code === 'unknown')
            this.dependencies.onUnknown({ command: item.command, body: item.body, sentAt: item.sentAt });
          else if (error.code !== 'closed') this.dependencies.onError(error);
        },
      });
    }
    for (const [key, item] of own) this.items.set(key, item);
  }

  private pump(): void {
    const { isConnected, clock } = this.dependencies;
    if (this.pause !== undefined || this.loaded === undefined) return;
    for (const item of this.items.values()) {
      if (!isConnected() || this.inFlight >= this.options.inFlightMax) return;
      if (item.isInFlight) continue;
      // The order is kept: nothing overtakes an item that is still being stored.
      if (item.isStoring) return;
      const ageMs = Math.max(
        clock.wallTime() - (item.sentAt ?? Infinity),
        clock.now() - (item.sentNow ?? Infinity),
      );
      if (ageMs > this.options.windowMs) {
        this.end(item).reject(
          new ClientError('unknown', 'sent, but not confirmed in time: it may be stored or not', {
            field: 'key',
          }),
        );
        continue;
      }
      if (item.sentAt === undefined) {
        const now = clock.wallTime();
        item.sentNow = clock.now();
        // Before it is sent, so that a later page knows that it may have been.
        if (item.isStored) return void this.mark(item, now);
        item.sentAt = now;
      }
      void this.send(item);
    }
  }

  /** Notes in the store that an item is sent now. Another page may have sent it already. */
  private async mark(item: Waiting, now: number): Promise<void> {
    item.isStoring = true;
    try {
      item.sentAt = await this.options.store!.sending(item.body.key, now);
    } catch (cause) {
      this.storeFailed(cause);
      item.sentAt = now;
    }
    item.isStoring = false;
    if (item.sentAt === undefined && this.items.has(item.body.key)) {
      this.end(item);
      if (!item.isLeft)
        item.reject(
          new ClientError('unknown', 'another page has sent it, and has the answer', { field: 'key' }),
        );
    }
    this.pump();
  }

  private async send(item: Waiting): Promise<void> {
    item.isInFlight = true;
    this.inFlight++;
    try {
      const receipt = await this.dependencies.request(item.command, item.body);
      this.end(item).resolve(receipt);
    } catch (failure) {
      const error = failure as ClientError;
      if (this.isClosed) return;
      if (!repeatedCodes.includes(error.code)) this.end(item).reject(error);
      else if (error.code !== 'not_connected') this.rest(error.retryAfterMs ?? pauseMs);
    } finally {
      item.isInFlight = false;
      this.inFlight--;
      this.pump();
    }
  }

  /** The service has no room: nothing is sent for a while. */
  private rest(delayMs: number): void {
    this.pause ??= this.dependencies.clock.setTimeout(() => {
      this.pause = undefined;
      this.pump();
    }, delayMs);
  }

  private end(item: Waiting): Waiting {
    if (this.items.delete(item.body.key)) this.bytes -= item.bytes;
    this.options.store?.remove(item.body.key).catch((cause: unknown) => this.storeFailed(cause));
    return item;
  }

  private storeFailed(cause: unknown): void {
    this.dependencies.onError(
      new ClientError('store_failed', `the outgoing queue cannot be kept: ${String(cause)}`, { cause }),
    );
  }
}
