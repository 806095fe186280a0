import { RefusalError } from '../../../shared/errors.js';

/** Binary parts that a packet of Socket.IO still waits for. */
export class PartCount {
  /**
   * @param left parts that have not come
   * @param bytes size of the packet, and of the parts that have come
   * @param since when the packet came, on the monotonic clock
   */
  constructor(
    private left: number,
    public bytes: number,
    readonly since: number,
  ) {}

  get isComplete(): boolean {
    return this.left === 0;
  }

  /** Counts a part. Returns the refusal of a packet that is too large with it. */
  add(bytes: number, limitBytes: number): RefusalError | undefined {
    this.left--;
    this.bytes += bytes;
    if (this.bytes <= limitBytes) return undefined;
    const text = `a packet and its binary parts may have ${limitBytes} bytes together`;
    return new RefusalError('message_too_large', text, { limit: limitBytes, size: this.bytes });
  }
}
