import { ClientError, closed, repeatedCodes } from './client-error.js';
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

export interface OutgoingOptions {
  /** Messages that may wait. More are refused with `queue_full`. */
  readonly max: number;
  /** Their bytes. */
  readonly maxBytes: number;
  /** A message that was sent, is not confirmed, and is older than this, is not sent again: `unknown`. In milliseconds; below the service's `topics.idempotency_window_secs`. */
  readonly windowMs: number;
  /** Messages on the wire at a time. */
  readonly inFlightMax: number;
}

export interface OutgoingDependencies {
  /** Sends a command; rejects with a ClientError, `not_connected` if the connection was lost before the answer. */
  readonly request: (command: string, body: object) => Promise<unknown>;
  readonly isConnected: () => boolean;
  readonly clock: Clock;
  /** A message of an earlier page, whose outcome cannot be learned any more. */
  readonly onUnknown: (item: OutgoingItem) => void;
  readonly onError: (error: ClientError) => void;
}

/** Makes the queue of a client: `createOutbox()` of `realtime-communication/client/outbox`. */
export type OutgoingFactory = (dependencies: OutgoingDependencies, options: OutgoingOptions) => Outgoing;

/** Where an item of a stored queue is kept. @internal */
export interface Kept {
  /** Another page has published it. */
  readonly isLeft?: true;
  /** A write is under way. */
  isStoring: boolean;
  /** It is in the store. */
  isStored: boolean;
}

/** An item of the queue. @internal */
export interface WaitingItem extends OutgoingItem {
  readonly bytes: number;
  /** The same moment as `sentAt`, on the monotonic clock. */
  sentNow?: number;
  isInFlight?: boolean;
  kept?: Kept;
  readonly resolve: (receipt: unknown) => void;
  readonly reject: (error: ClientError) => void;
}

const pauseMs = 250;

/**
 * What is published, until it is confirmed: in the order of the calls, repeated with the same key over reconnections, so
 * that the service stores each message once.
 */
export class Outgoing {
  /** Oldest first. A Map, because any item may be confirmed first. */
  protected readonly items = new Map<string, WaitingItem>();
  protected isStarted = false;
  protected isClosed = false;
  private bytes = 0;
  private inFlight = 0;
  private pause: Timer | undefined;

  constructor(
    protected readonly dependencies: OutgoingDependencies,
    private readonly limits: OutgoingOptions,
  ) {}

  get size(): {
    readonly messages: number;
    readonly bytes: number;
    readonly max: number;
    readonly maxBytes: number;
  } {
    const { max, maxBytes } = this.limits;
    return { messages: this.items.size, bytes: this.bytes, max, maxBytes };
  }

  /** Resolves to the service's answer. Rejects with a ClientError. */
  add(item: OutgoingItem): Promise<unknown> {
    const { items } = this;
    const { max, maxBytes } = this.limits;
    const { key } = item.body;
    return new Promise((resolve, reject) => {
      if (this.isClosed) return reject(closed('client'));
      if (items.has(key)) return reject(new ClientError('conflict', 'this key waits', { field: 'key' }));
      if (items.size >= max || this.bytes + sizeOf(item.body) > maxBytes)
        return reject(new ClientError('queue_full', `${items.size} messages wait`, { limit: max }));
      this.added(this.wait(item, resolve, reject));
    });
  }

  /** There is a connection: what waits is sent. */
  connected(): void {
    this.isStarted = true;
    this.pump();
  }

  /** Rejects what waits. */
  close(): void {
    this.isClosed = true;
    this.dependencies.clock.clearTimer(this.pause);
    for (const { reject } of this.items.values()) reject(closed('client'));
    this.items.clear();
  }

  protected wait(
    item: OutgoingItem,
    resolve: WaitingItem['resolve'],
    reject: WaitingItem['reject'],
  ): WaitingItem {
    const waiting = { ...item, bytes: sizeOf(item.body), resolve, reject };
    this.items.set(item.body.key, waiting);
    this.bytes += waiting.bytes;
    return waiting;
  }

  protected added(_item: WaitingItem): void {
    this.pump();
  }

  /** Whether an item may be sent now; else nothing is until the next `pump`: the order is kept. */
  protected isReady(_item: WaitingItem): boolean {
    return true;
  }

  protected pump(): void {
    const { isConnected, clock } = this.dependencies;
    const { inFlightMax, windowMs } = this.limits;
    for (const item of this.items.values()) {
      if (this.pause || !this.isStarted || !isConnected() || this.inFlight >= inFlightMax) return;
      if (item.isInFlight) continue;
      if (!this.isReady(item)) return;
      const now = clock.now();
      const wallTime = clock.wallTime();
      if (Math.max(Math.abs(wallTime - (item.sentAt ??= wallTime)), now - (item.sentNow ??= now)) > windowMs)
        this.end(item).reject(
          new ClientError('unknown', 'not confirmed: it may be stored', { field: 'key' }),
        );
      else void this.send(item);
    }
  }

  private async send(item: WaitingItem): Promise<void> {
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

  /** An item has its answer. */
  protected end(item: WaitingItem): WaitingItem {
    if (this.items.delete(item.body.key)) this.bytes -= item.bytes;
    return item;
  }
}
