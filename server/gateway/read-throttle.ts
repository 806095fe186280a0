import type { Socket as TcpSocket } from 'node:net';
import type { Clock, Timer } from '../primitives/clock.js';
import type { ClientConnection } from './client-connection.js';
import { engineOf } from './engine-internals/engine-connection.js';
import { startReading, stopReading } from './engine-internals/reading.js';

/** A client that has published within this time, in milliseconds, is likely to do so again before the append. */
const busyWithinMs = 50;
/** Less is not worth stopping for. */
const leastMs = 3;
/** However long the topic gathers publishes, other commands of the connection wait no longer than this. */
const longestMs = 25;
/** Reading goes on this long before the append, so that what has come meanwhile is part of it. */
const aheadMs = 2;

/**
 * Lets the bytes of busy publishers wait in the kernel while their topic gathers publishes for its next append: many messages then cost one
 * wake-up and one read. They would have waited in the mailbox otherwise; nobody is answered later for it.
 */
export class ReadThrottle {
  private readonly stopped = new Set<TcpSocket>();
  private timer: Timer | undefined;
  private dueAt = Infinity;

  constructor(private readonly dependencies: { readonly clock: Clock }) {}

  /** A publish of a connection waits for its append. `appendAt` is the time of the append, by the monotonic clock; 0: at once. */
  published(connection: ClientConnection | undefined, appendAt: number): void {
    // A publish over HTTP has no connection.
    if (connection === undefined) return;
    const { clock } = this.dependencies;
    const now = clock.now();
    const isBusy = now - connection.lastPublishedAt < busyWithinMs;
    connection.lastPublishedAt = now;
    const until = Math.min(appendAt - aheadMs, now + longestMs);
    if (!isBusy || until - now < leastMs) return;
    const tcp = stopReading(engineOf(connection.socket));
    if (tcp === undefined) return;
    this.stopped.add(tcp);
    if (until >= this.dueAt) return;
    this.dueAt = until;
    clock.clearTimer(this.timer);
    this.timer = clock.setTimeout(this.goOn, until - now);
  }

  private readonly goOn = (): void => {
    this.dueAt = Infinity;
    for (const tcp of this.stopped) startReading(tcp);
    this.stopped.clear();
  };
}
