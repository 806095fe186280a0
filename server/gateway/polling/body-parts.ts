import type { IncomingMessage } from 'node:http';
import { partBytes } from './polling-frames.js';

/**
 * Reads a body in parts of at most {@link partBytes}. A part is passed on when it is full, or when the body ends; then nothing more is read until
 * {@link taken} is called. So a small body is one part.
 */
export class BodyParts {
  private chunks: Buffer[] = [];
  private bytes = 0;
  private hasEnded = false;
  private isWaiting = false;

  constructor(
    private readonly body: IncomingMessage,
    private readonly pass: (part: Buffer, isLast: boolean) => void,
  ) {
    body.on('data', this.onData);
    body.on('end', this.onEnd);
  }

  /** The other side has taken the last part. */
  taken(): void {
    this.isWaiting = false;
    this.advance();
  }

  /** The rest of the body has no use. */
  stop(): void {
    this.body.off('data', this.onData).off('end', this.onEnd).resume();
    this.chunks = [];
    this.isWaiting = true;
  }

  private readonly onData = (chunk: Buffer): void => {
    this.chunks.push(chunk);
    this.bytes += chunk.length;
    this.advance();
  };

  private readonly onEnd = (): void => {
    this.hasEnded = true;
    this.advance();
  };

  private advance(): void {
    if (!this.isWaiting && (this.bytes >= partBytes || this.hasEnded)) {
      const all = Buffer.concat(this.chunks);
      const rest = all.subarray(partBytes);
      this.chunks = rest.length > 0 ? [rest] : [];
      this.bytes = rest.length;
      this.isWaiting = true;
      this.pass(all.subarray(0, partBytes), this.hasEnded && rest.length === 0);
    }
    if (this.bytes >= partBytes) this.body.pause();
    else this.body.resume();
  }
}
