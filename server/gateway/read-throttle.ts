import type { Socket as TcpSocket } from 'node:net';
import type { Clock, Timer } from '../primitives/clock.js';
import type { ClientConnection } from './client-connection.js';
import { engineOf } from './engine-internals/engine-connection.js';
import { startReading, stopReading } from './engine-internals/reading.js';

/**
 * A client that has published within this time, in milliseconds, will probably publish again before the
 * append.
 */
const busyWithinMs = 50;
/** For a shorter time, in milliseconds, a stop is not worth its cost. */
const leastMs = 3;
/**
 * Longest stop, in milliseconds: other commands of the connection wait no longer, even if the topic lingers
 * for longer.
 */
const longestMs = 25;
/**
 * Reading resumes this long before the append, in milliseconds, so that it includes what has arrived
 * meanwhile.
 */
const aheadMs = 2;

/**
 * Delays reading from busy publishers until shortly before the next append of their topic, so that many
 * messages cost one wake-up and one read. Without the delay they would wait in the mailbox, so no answer is
 * later because of it.
 */
export class ReadThrottle {
  private readonly stopped = new Set<TcpSocket>();
  private timer: Timer | undefined;
  private dueAt = Infinity;

  constructor(private readonly dependencies: { readonly clock: Clock }) {}

  /**
   * Called when a publish of a connection waits for its append. `appendAt` is the time of the append on the
   * monotonic clock, in milliseconds; 0: at once.
   */
  published(connection: ClientConnection | undefined, appendAt: number): void {
    // A publish over HTTP comes without a connection.
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
