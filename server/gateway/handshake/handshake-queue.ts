import { RefusalError } from '../../../shared/errors.js';
import type { Clock, Timer } from '../../primitives/clock.js';
import { TokenBucket } from '../../primitives/token-bucket.js';

interface HandshakeQueueSettings {
  /** Handshakes that are served per second. */
  readonly ratePerSec: number;
  /** A handshake that has waited this long, in milliseconds, is refused. */
  readonly longestWaitMs: number;
}

/** A handshake that waits. */
interface Entry {
  readonly address: string;
  readonly expiry: Timer;
  readonly serve: () => void;
  readonly refuse: (error: RefusalError) => void;
}

/** The place of a handshake in the queue. */
export interface Turn {
  /** Resolves when it is served. Rejects with RefusalError `at_capacity`. */
  readonly served: Promise<void>;
  /** The client has gone away. Its place is free at once, and takes nothing of the rate. */
  leave(): void;
}

/**
 * Serves handshakes at a steady rate, the addresses in turns: one that sends many handshakes waits for itself, and a handshake of another
 * address waits for one of each address before it at most. In a full queue a newcomer takes the place of the last handshake of the address
 * that has most.
 */
export class HandshakeQueue {
  /** By address, in the order in which they are served next; in each the oldest first. */
  private readonly waiting = new Map<string, Set<Entry>>();
  private readonly bucket: TokenBucket;
  private readonly limit: number;
  private size = 0;
  private timer: Timer | undefined;

  constructor(
    private readonly dependencies: { readonly clock: Clock },
    private readonly settings: HandshakeQueueSettings,
  ) {
    this.bucket = new TokenBucket(settings.ratePerSec, dependencies.clock.now());
    this.limit = Math.max(1, Math.floor((settings.ratePerSec * settings.longestWaitMs) / 1000));
  }

  /** Handshakes that wait. */
  get length(): number {
    return this.size;
  }

  /**
   * Enters a handshake. Undefined: it is served at once.
   *
   * @throws RefusalError `at_capacity`
   */
  enter(address: string): Turn | undefined {
    if (this.size === 0 && this.bucket.take(this.dependencies.clock.now()) === 0) return undefined;
    if (this.size >= this.limit) this.makeRoom(address);
    let entry: Entry | undefined;
    const served = new Promise<void>((serve, refuse) => {
      entry = { address, expiry: this.expiry(() => this.expire(entry!)), serve, refuse };
    });
    this.add(entry!);
    this.schedule();
    return { served, leave: () => void this.remove(entry!) };
  }

  private expiry(run: () => void): Timer {
    const timer = this.dependencies.clock.setTimeout(run, this.settings.longestWaitMs);
    timer.unref();
    return timer;
  }

  private add(entry: Entry): void {
    const entries = this.waiting.get(entry.address) ?? new Set();
    this.waiting.set(entry.address, entries.add(entry));
    this.size++;
  }

  /** False if it has been served, refused or removed before. */
  private remove(entry: Entry): boolean {
    const entries = this.waiting.get(entry.address);
    if (entries?.delete(entry) !== true) return false;
    if (entries.size === 0) this.waiting.delete(entry.address);
    this.size--;
    this.dependencies.clock.clearTimer(entry.expiry);
    return true;
  }

  private expire(entry: Entry): void {
    if (this.remove(entry)) entry.refuse(this.full());
  }

  /** @throws RefusalError if the newcomer's own address has its share already */
  private makeRoom(address: string): void {
    const own = (this.waiting.get(address)?.size ?? 0) + 1;
    if (own > this.size / this.waiting.size) throw this.full();
    let most: ReadonlySet<Entry> = new Set();
    for (const entries of this.waiting.values()) if (entries.size > most.size) most = entries;
    if (most.size <= own) throw this.full();
    this.expire([...most].at(-1)!);
  }

  private full(): RefusalError {
    return new RefusalError('at_capacity', 'too many clients connect at once', {
      retryAfterMs: this.settings.longestWaitMs,
    });
  }

  private schedule(): void {
    if (this.timer !== undefined || this.size === 0) return;
    const { clock } = this.dependencies;
    const waitMs = this.bucket.take(clock.now());
    // The token is taken: the turn comes in the next step, not in the one that entered the handshake.
    this.timer = clock.setTimeout(() => this.serve(waitMs === 0), waitMs);
    this.timer.unref();
  }

  private serve(hasToken: boolean): void {
    this.timer = undefined;
    const { clock } = this.dependencies;
    let isPaid = hasToken;
    while (this.size > 0 && (isPaid || this.bucket.take(clock.now()) === 0)) {
      isPaid = false;
      this.serveNext();
    }
    this.schedule();
  }

  private serveNext(): void {
    for (const [address, entries] of this.waiting) {
      const [next] = entries;
      this.remove(next!);
      // To the end of the order.
      if (this.waiting.delete(address) && entries.size > 0) this.waiting.set(address, entries);
      next!.serve();
      return;
    }
  }
}
