import type { RefusalError } from '../../../shared/errors.js';
import type { Log } from '../../logging/log.js';
import type { InboundLimit } from './inbound-counts.js';

/** What an operator can do about it. */
const remedies: Readonly<Record<InboundLimit, string>> = {
  before_join: 'a client that never joins: nothing to do, unless it is yours',
  join_bytes: 'raise websocket.max_join_bytes if the tokens or positions of your clients are that large',
  waste: 'look at the commands that the client sends, or raise limits.waste_packets_per_sec',
  parts: 'send large data in several messages, or raise websocket.transport_limit_bytes',
  parts_time: 'a client that announces binary parts and does not send them',
  fragments: 'let the client, or the proxy in front of it, send messages in larger fragments',
  unfinished:
    'look for clients that begin large messages and do not finish them, or raise limits.http_bodies_bytes',
};

/** One line per limit in this time, in milliseconds: attackers must not fill the disk. */
const quietMs = 10_000;

/** Logs the transports that were closed for what they sent. */
export class InboundLog {
  private readonly lines = new Map<InboundLimit, { at: number; leftOut: number }>();

  /** @param now monotonic clock, in milliseconds */
  constructor(private readonly dependencies: { readonly log: Log; readonly now: () => number }) {}

  note(limit: InboundLimit, error: RefusalError, client: Readonly<Record<string, unknown>>): void {
    const now = this.dependencies.now();
    const last = this.lines.get(limit);
    if (last !== undefined && now - last.at < quietMs) {
      last.leftOut++;
      return;
    }
    this.lines.set(limit, { at: now, leftOut: 0 });
    this.dependencies.log.warn('Connection closed for what it sent', {
      limit,
      reason: error.message,
      ...client,
      ...(last !== undefined && last.leftOut > 0 && { left_out: last.leftOut }),
      remedy: remedies[limit],
    });
  }
}
