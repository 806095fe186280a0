import { RefusalError } from '../../shared/errors.js';
import type { Clock } from '../primitives/clock.js';
import type { LimitCounts } from './limit-counts.js';

/** Memory of one piece of a body beside its content: Node makes an object of each. */
const pieceBytes = 512;

/** One caller may hold this part of the budget. */
const callerShare = 1 / 4;
/** However small the limit, what is held beside bodies leaves one caller room for so many. */
const leastBodies = 64;

/**
 * A caller's bodies that were thrown away count in its share for this time: their memory is free when it has been collected, and a caller
 * who begins ever new ones makes more of it than the collector expects.
 */
const discardedMs = 5000;
/** What holds less is not worth it. */
const discardedFrom = 4096;

/** What one request body holds of the budget. */
export interface HeldBody {
  /** Called with the size of each piece that has arrived. @throws RefusalError `at_capacity` */
  add(bytes: number): void;
  /** To be called when the body is complete; further calls do nothing, here and of {@link discard}. */
  release(): void;
  /** To be called when the body is thrown away: it was refused, or its request has ended before it was complete. */
  discard(): void;
}

/**
 * Limits the memory of request bodies that are still arriving, over all requests of the replica: a client may send a body slowly, or stop.
 * A quarter of it is the most that one caller can hold, so that one caller does not stop the others.
 */
export class BodyBudget {
  private total = 0;
  private readonly callers = new Map<string, number>();

  constructor(
    private readonly dependencies: { readonly counts: LimitCounts; readonly clock: Clock },
    /** 0: no limit. */
    private readonly settings: { readonly limitBytes: number },
  ) {}

  /** Bytes that are held at present. */
  get heldBytes(): number {
    return this.total;
  }

  /** Whether a caller has more than its share, with what it has thrown away a moment ago. */
  isOver(caller: string): boolean {
    const { limitBytes } = this.settings;
    return limitBytes > 0 && (this.callers.get(caller) ?? 0) > limitBytes * callerShare;
  }

  /**
   * Opens the account of one body. `caller` is a user or an address.
   *
   * @param besideBytes what is held with the body until it ends, however small it is
   * @throws RefusalError `at_capacity` if something is held with it, and the limits are exceeded before
   */
  open(caller: string, besideBytes = 0): HeldBody {
    const beside = Math.min(besideBytes, (this.settings.limitBytes * callerShare) / leastBodies);
    if (besideBytes > 0) {
      this.check(caller);
      this.total += beside;
      this.charge(caller, beside);
    }
    let held = 0;
    let isReleased = false;
    const end = (discarded: boolean): void => {
      if (isReleased) return;
      isReleased = true;
      this.total -= held + beside;
      this.charge(caller, -beside);
      if (discarded && held >= discardedFrom)
        this.dependencies.clock.setTimeout(() => this.charge(caller, -held), discardedMs).unref();
      else this.charge(caller, -held);
    };
    return {
      add: (bytes) => {
        if (isReleased) return;
        held += bytes + pieceBytes;
        this.total += bytes + pieceBytes;
        this.charge(caller, bytes + pieceBytes);
        this.check(caller);
      },
      release: () => end(false),
      discard: () => end(true),
    };
  }

  private charge(caller: string, bytes: number): void {
    const held = (this.callers.get(caller) ?? 0) + bytes;
    if (held > 0) this.callers.set(caller, held);
    else this.callers.delete(caller);
  }

  private check(caller: string): void {
    const { limitBytes } = this.settings;
    if (limitBytes === 0) return;
    const isCallerOver = this.isOver(caller);
    if (!isCallerOver && this.total <= limitBytes) return;
    this.dependencies.counts.bodies++;
    const whose = isCallerOver ? 'of one caller' : 'of all callers';
    throw new RefusalError('at_capacity', `too many unfinished request bodies ${whose}`, {
      retryAfterMs: 1000,
      limit: isCallerOver ? Math.floor(limitBytes * callerShare) : limitBytes,
    });
  }
}
