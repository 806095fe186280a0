import { RefusalError } from '../../../shared/errors.js';
import type { Clock, Timer } from '../../primitives/clock.js';
import { TokenBucket } from '../../primitives/token-bucket.js';

interface HandshakeQueueSettings {
  /** Handshakes that are served per second. */
  readonly ratePerSec: number;
  /** A handshake that has waited this long, in milliseconds, is refused. */
  readonly longestWaitMs: number;
}

/** A handshake that enters the queue. */
export interface Newcomer {
  /** While this returns false, it waits, and others are served. */
  readonly hasRoom: () => boolean;
  /** Called when it is served, if it had to wait. */
  readonly onServed: () => void;
}

/** A handshake that waits. */
interface Entry extends Newcomer {
  readonly address: string;
  readonly expiry: Timer;
  readonly serve: () => void;
  readonly refuse: (error: RefusalError) => void;
}

/** With more handshakes than this, the queue is full whatever its rate: each costs the memory of a TCP connection and a request. */
const lengthLimit = 2500;

/** While there is no room, the queue looks again after this time, in milliseconds. */
const roomCheckMs = 20;

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
    const servedInTime = Math.floor((settings.ratePerSec * settings.longestWaitMs) / 1000);
    this.limit = Math.min(lengthLimit, Math.max(1, servedInTime));
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
  enter(address: string, newcomer: Newcomer): Turn | undefined {
    if (this.size === 0 && newcomer.hasRoom() && this.bucket.take(this.dependencies.clock.now()) === 0)
      return undefined;
    if (this.size >= this.limit) this.makeRoom(address);
    let entry: Entry | undefined;
    const served = new Promise<void>((serve, refuse) => {
      entry = { ...newcomer, address, expiry: this.expiry(() => this.expire(entry!)), serve, refuse };
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
    const waitMs = this.next() === undefined ? roomCheckMs : this.bucket.wait(clock.now());
    this.timer = clock.setTimeout(this.serve, waitMs);
    this.timer.unref();
  }

  private readonly serve = (): void => {
    this.timer = undefined;
    const { clock } = this.dependencies;
    for (let next = this.next(); next !== undefined; next = this.next()) {
      if (this.bucket.take(clock.now()) > 0) break;
      this.remove(next);
      const { address } = next;
      const rest = this.waiting.get(address);
      // To the end of the order.
      if (rest !== undefined && this.waiting.delete(address)) this.waiting.set(address, rest);
      next.onServed();
      next.serve();
    }
    this.schedule();
  };

  /** The handshake that is served next; undefined: there is room for none. */
  private next(): Entry | undefined {
    for (const [oldest] of this.waiting.values()) if (oldest!.hasRoom()) return oldest;
    return undefined;
  }
}
