import type { Clock } from '../primitives/clock.js';

/** Connections are looked at in this interval, in milliseconds. */
const lookEveryMs = 100;
/** So many of one caller go on at a time. All at once they would use up the room many times over before it is known that it is used up. */
const perLook = 2;

/** A connection that is not read, because its caller has used up the room for bodies that no route reads. */
export interface WaitingConnection {
  /** Whether it has stopped waiting: it is closed. Asked at each look. */
  hasEnded(): boolean;
  /** Called once, when there is room. */
  goOn(): void;
}

/** Connections that wait for room. Those of one caller go on a few at a time, in the order in which they came. */
export class RoomQueue {
  private readonly callers = new Map<string, Set<WaitingConnection>>();

  constructor(
    private readonly dependencies: {
      readonly clock: Pick<Clock, 'setTimeout'>;
      /** Whether a caller has used up its room. */
      readonly isOver: (caller: string) => boolean;
    },
  ) {}

  wait(caller: string, connection: WaitingConnection): void {
    if (this.callers.size === 0) this.lookLater();
    const waiting = this.callers.get(caller);
    if (waiting === undefined) this.callers.set(caller, new Set([connection]));
    else waiting.add(connection);
  }

  private lookLater(): void {
    this.dependencies.clock.setTimeout(() => this.look(), lookEveryMs).unref();
  }

  private look(): void {
    for (const [caller, waiting] of this.callers) {
      let left = perLook;
      for (const connection of waiting) {
        if (connection.hasEnded()) waiting.delete(connection);
        else if (left > 0 && !this.dependencies.isOver(caller)) {
          left--;
          waiting.delete(connection);
          connection.goOn();
        }
      }
      if (waiting.size === 0) this.callers.delete(caller);
    }
    if (this.callers.size > 0) this.lookLater();
  }
}
