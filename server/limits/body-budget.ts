import { RefusalError } from '../../shared/errors.js';
import type { LimitCounts } from './limit-counts.js';

/** Memory of one piece of a body beside its content: Node makes an object of each. */
const pieceBytes = 512;

/** One caller may hold this part of the budget. */
const callerShare = 1 / 4;

/** What one request body holds of the budget. */
export interface HeldBody {
  /** Called with the size of each piece that has arrived. @throws RefusalError `at_capacity` */
  add(bytes: number): void;
  /** To be called when the body is complete or its request has ended; further calls do nothing. */
  release(): void;
}

/**
 * Limits the memory of request bodies that are still arriving, over all requests of the replica: a client may send a body slowly, or stop.
 * A quarter of it is the most that one caller can hold, so that one caller does not stop the others.
 */
export class BodyBudget {
  private total = 0;
  private readonly callers = new Map<string, number>();

  constructor(
    private readonly dependencies: { readonly counts: LimitCounts },
    /** 0: no limit. */
    private readonly settings: { readonly limitBytes: number },
  ) {}

  /** Bytes that are held at present. */
  get heldBytes(): number {
    return this.total;
  }

  /** Opens the account of one body. `caller` is a user or an address. */
  open(caller: string): HeldBody {
    let held = 0;
    let isReleased = false;
    return {
      add: (bytes) => {
        if (isReleased) return;
        held += bytes + pieceBytes;
        this.change(caller, bytes + pieceBytes);
        this.check(caller);
      },
      release: () => {
        if (isReleased) return;
        isReleased = true;
        this.change(caller, -held);
      },
    };
  }

  private change(caller: string, bytes: number): void {
    this.total += bytes;
    const held = (this.callers.get(caller) ?? 0) + bytes;
    if (held > 0) this.callers.set(caller, held);
    else this.callers.delete(caller);
  }

  private check(caller: string): void {
    const { limitBytes } = this.settings;
    if (limitBytes === 0) return;
    const isCallerOver = (this.callers.get(caller) ?? 0) > limitBytes * callerShare;
    if (!isCallerOver && this.total <= limitBytes) return;
    this.dependencies.counts.bodies++;
    const whose = isCallerOver ? 'of one caller' : 'of all callers';
    throw new RefusalError('at_capacity', `too many unfinished request bodies ${whose}`, {
      retryAfterMs: 1000,
      limit: isCallerOver ? Math.floor(limitBytes * callerShare) : limitBytes,
    });
  }
}
