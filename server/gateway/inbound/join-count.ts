import { RefusalError } from '../../../shared/errors.js';
import type { InboundLimit } from './inbound-counts.js';

/** Packets that a transport may send before its client has joined. */
const packetLimit = 32;

/** A limit for which a transport is closed, and the error that names it. */
interface ExceededLimit {
  readonly limit: InboundLimit;
  readonly error: RefusalError;
}

/** What a transport has sent before its client has joined. */
export class JoinCount {
  private packets = 0;
  private bytes = 0;

  /** Counts one packet. Undefined: it is within the limits. */
  add(bytes: number, limitBytes: number): ExceededLimit | undefined {
    this.packets++;
    this.bytes += bytes;
    if (this.packets > packetLimit) {
      const text = `a client may send ${packetLimit} packets before it has joined`;
      const details = { limit: packetLimit, retryAfterMs: 10_000 };
      return { limit: 'before_join', error: new RefusalError('rate_limited', text, details) };
    }
    if (this.bytes > limitBytes) {
      const text = `a client may send ${limitBytes} bytes before it has joined`;
      const details = { limit: limitBytes, size: this.bytes };
      return { limit: 'join_bytes', error: new RefusalError('message_too_large', text, details) };
    }
    return undefined;
  }
}
