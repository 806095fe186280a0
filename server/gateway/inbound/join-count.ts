import { RefusalError } from '../../../shared/errors.js';
import type { InboundLimit } from './inbound-counts.js';

/** Packets that a transport may send before its client has shown a valid token, or has joined. */
const packetLimit = 32;

/** A limit for which a transport is closed, and the error that names it. */
interface ExceededLimit {
  readonly limit: InboundLimit;
  readonly error: RefusalError;
}

/** The packets by which a client joins have more bytes than they may. */
export function tooLargeToJoin(size: number, limit: number): RefusalError {
  const text = `a client may send ${limit} bytes before it has joined`;
  return new RefusalError('message_too_large', text, { limit, size });
}

/** A client has sent binary packets before it has joined. */
export function binaryBeforeJoin(): RefusalError {
  return new RefusalError('conflict', 'a client sends binary packets only after it has joined');
}

/** What a transport has sent before its client has shown a valid token, or has joined. */
export class JoinCount {
  private packets = 0;
  private bytes = 0;

  /** The next packet is one too many. */
  get isFull(): boolean {
    return this.packets === packetLimit;
  }

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
      return { limit: 'join_bytes', error: tooLargeToJoin(this.bytes, limitBytes) };
    }
    return undefined;
  }
}
