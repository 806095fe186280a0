import { CallerTurns } from '../primitives/caller-turns.js';
import type { Clock } from '../primitives/clock.js';

/** Time of one turn of the event loop after which further requests wait for the next turn, in milliseconds; and their number. */
const sliceMs = 4;
const requestsPerTurn = 16;
/** The same while new connections come turn after turn: one of them is accepted in each turn. */
const pressedSliceMs = 1;
const pressedPerTurn = 2;
/** Requests of one caller, and of all together, that may wait. */
const waitingPerCaller = 1000;
const waitingLimit = 5000;
/** Past it, one request of each of so many callers who have none that waits. */
const callersMax = 1000;

interface RequestTurnsDependencies {
  readonly clock: Pick<Clock, 'now' | 'setImmediate'>;
  readonly connections: {
    /** Whether new connections come turn after turn. */
    readonly isPressed: boolean;
    /** Whether they are only accepted now: requests wait. */
    readonly isOnlyAccepting: boolean;
    /** To be called in each turn in which requests run. */
    served(): void;
  };
}

interface WaitingRequest {
  /** Its connection: a request whose client has gone takes no turn. */
  readonly socket: { readonly destroyed: boolean };
  readonly work: () => void;
}

/**
 * Runs requests in turns of the event loop. Hundreds that arrive at once would all run before anybody else is served, and all be in memory
 * at the same time. Those of several callers take turns: a request waits for one of each other caller before it.
 */
export class RequestTurns {
  private readonly waiting = new CallerTurns<WaitingRequest>();
  private isBegun = false;
  private requests = 0;
  private usedMs = 0;

  constructor(private readonly dependencies: RequestTurnsDependencies) {}

  /** Runs a request now, or in a later turn. False: too many wait. */
  run(caller: string, socket: { readonly destroyed: boolean }, work: () => void): boolean {
    if (this.waiting.size === 0 && !this.isUsedUp()) {
      this.runNow(work);
      return true;
    }
    if (!this.hasRoom(caller)) return false;
    this.waiting.push(caller, { socket, work });
    this.begin();
    return true;
  }

  /** A few callers could fill the room, and keep the checks of a load balancer waiting outside: who has none there may have one. */
  private hasRoom(caller: string): boolean {
    const own = this.waiting.sizeOf(caller);
    const { size } = this.waiting;
    return own < waitingPerCaller && (size < waitingLimit || (own === 0 && size < waitingLimit + callersMax));
  }

  private isUsedUp(): boolean {
    const { connections } = this.dependencies;
    if (connections.isPressed)
      return connections.isOnlyAccepting || this.requests >= pressedPerTurn || this.usedMs >= pressedSliceMs;
    return this.requests >= requestsPerTurn || this.usedMs >= sliceMs;
  }

  private runNow(work: () => void): void {
    this.begin();
    this.dependencies.connections.served();
    this.requests++;
    const startedAt = this.dependencies.clock.now();
    try {
      work();
    } finally {
      this.usedMs += this.dependencies.clock.now() - startedAt;
    }
  }

  private begin(): void {
    if (this.isBegun) return;
    this.isBegun = true;
    this.dependencies.clock.setImmediate(this.next);
  }

  private readonly next = (): void => {
    this.isBegun = false;
    this.requests = 0;
    this.usedMs = 0;
    if (this.waiting.size === 0) return;
    // What throws must not keep the others waiting.
    this.begin();
    while (this.waiting.size > 0 && !this.isUsedUp()) {
      const { socket, work } = this.waiting.next((own) => own.shift()!);
      if (!socket.destroyed) this.runNow(work);
    }
  };
}
