import type { Clock } from '../primitives/clock.js';

/** Connections are looked at in this interval, in milliseconds. */
const lookEveryMs = 100;
/** So many of one caller go on at a time. All at once they would use up the room many times over before it is known that it is used up. */
const perLook = 2;
/** A connection is closed when it has waited for this time, in milliseconds: nothing says meanwhile that its client has ended it. */
const longestMs = 10_000;
/** So many of one caller wait. More could not go on in that time. */
const perCaller = (longestMs / lookEveryMs) * perLook;

/** A connection that is not read, because its caller has used up the room for bodies that no route reads. */
export interface WaitingConnection {
  /** When it began to wait for the first time, of the clock. */
  readonly waitsSince: number;
  /** Whether it waits no more. Asked at each look; a connection that its client has reset is closed then. */
  hasLeft(): boolean;
  /** Called when there is room. */
  goOn(): void;
  /** Called when it has waited too long. */
  close(): void;
}

/** Connections that wait for room. Those of one caller go on a few at a time, in the order in which they came. */
export class RoomQueue {
  private readonly callers = new Map<string, Set<WaitingConnection>>();

  constructor(
    private readonly dependencies: {
      readonly clock: Pick<Clock, 'now' | 'setTimeout'>;
      /** Whether there is no room for a caller. */
      readonly isOver: (caller: string) => boolean;
    },
  ) {}

  /** False if too many of this caller wait. */
  wait(caller: string, connection: WaitingConnection): boolean {
    const waiting = this.callers.get(caller);
    if (waiting !== undefined && waiting.size >= perCaller) return false;
    if (this.callers.size === 0) this.lookLater();
    if (waiting === undefined) this.callers.set(caller, new Set([connection]));
    else waiting.add(connection);
    return true;
  }

  private lookLater(): void {
    this.dependencies.clock
      .setTimeout(() => {
        try {
          for (const [caller, waiting] of this.callers) this.look(caller, waiting);
        } finally {
          // What throws must not keep the others waiting.
          if (this.callers.size > 0) this.lookLater();
        }
      }, lookEveryMs)
      .unref();
  }

  private look(caller: string, waiting: Set<WaitingConnection>): void {
    const { clock, isOver } = this.dependencies;
    let left = perLook;
    for (const connection of waiting) {
      if (connection.hasLeft()) waiting.delete(connection);
      else if (left > 0 && !isOver(caller)) {
        left--;
        waiting.delete(connection);
        connection.goOn();
      } else if (clock.now() - connection.waitsSince >= longestMs) {
        waiting.delete(connection);
        connection.close();
      }
    }
    if (waiting.size === 0) this.callers.delete(caller);
  }
}
