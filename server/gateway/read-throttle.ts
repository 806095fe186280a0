import type { Socket as TcpSocket } from 'node:net';
import type { Clock, Timer } from '../primitives/clock.js';
import type { ClientConnection } from './client-connection.js';
import type { EngineConnection } from '../fanout/engine-connection.js';

/**
 * The native side of a TCP socket. Pausing the socket itself does not do: Node goes on reading into its own buffer. Where another version of
 * Node has no such thing, everything is read as it comes.
 */
interface ReadHandle {
  /** False while Node itself does not read, because somebody has paused the socket. */
  readonly reading?: boolean;
  readStop?(): unknown;
  readStart?(): unknown;
}

/** Who has published within this time, in milliseconds, is likely to do so again before the append. */
const busyWithinMs = 50;
/** Less is not worth stopping for. */
const leastMs = 3;
/** Whatever the topic gathers for, other commands of the connection wait no longer than this. */
const longestMs = 25;
/** Reading goes on this long before the append, so that what has come meanwhile is part of it. */
const aheadMs = 2;

/**
 * Lets the bytes of busy publishers wait in the kernel while their topic gathers publishes for its next append: many messages then cost one
 * wake-up and one read. They would have waited in the mailbox otherwise; nobody is answered later for it.
 */
export class ReadThrottle {
  private readonly held = new Set<TcpSocket>();
  private timer: Timer | undefined;
  private dueAt = Infinity;

  constructor(private readonly dependencies: { readonly clock: Clock }) {}

  /** A connection has published; `appendAt` (of the monotonic clock): when that will be appended, 0: at once. */
  published(connection: ClientConnection, appendAt: number): void {
    const { clock } = this.dependencies;
    const now = clock.now();
    const isBusy = now - connection.lastPublishedAt < busyWithinMs;
    connection.lastPublishedAt = now;
    const untilMs = Math.min(appendAt - aheadMs, now + longestMs);
    if (!isBusy || untilMs - now < leastMs) return;
    const { transport } = connection.socket.conn as unknown as EngineConnection;
    const tcp = transport.socket?._socket;
    const handle = handleOf(tcp);
    if (tcp === undefined || tcp === null || handle?.reading !== true || this.held.has(tcp)) return;
    handle.readStop?.();
    this.held.add(tcp);
    if (untilMs >= this.dueAt) return;
    this.dueAt = untilMs;
    clock.clearTimer(this.timer);
    this.timer = clock.setTimeout(this.goOn, untilMs - now);
  }

  private readonly goOn = (): void => {
    this.dueAt = Infinity;
    for (const tcp of this.held) {
      const handle = handleOf(tcp);
      if (handle?.reading === true) handle.readStart?.();
    }
    this.held.clear();
  };
}

function handleOf(tcp: TcpSocket | null | undefined): ReadHandle | null | undefined {
  return (tcp as (TcpSocket & { _handle?: ReadHandle | null }) | null | undefined)?._handle;
}
