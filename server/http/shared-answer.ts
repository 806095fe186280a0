import type { IncomingMessage } from 'node:http';
import { readySince } from './ready-since.js';

interface Rendered {
  readonly startedAt: number;
  readonly answer: Promise<Buffer>;
}

/**
 * An answer that takes time and memory to render, and is the same for everybody. One that was begun after a request could be handled is as new as one of its own, so
 * requests that wait for their turns at the same time get the same.
 */
export class SharedAnswer {
  private last: Rendered | undefined;

  constructor(private readonly render: () => Promise<string> | string) {}

  for(request: IncomingMessage): Promise<Buffer> {
    const since = readySince(request);
    if (since !== undefined && this.last !== undefined && this.last.startedAt > since)
      return this.last.answer;
    const startedAt = performance.now();
    const answer = this.bytes();
    const rendered = { startedAt, answer };
    this.last = rendered;
    answer.catch(() => {
      if (this.last === rendered) this.last = undefined;
    });
    return answer;
  }

  private async bytes(): Promise<Buffer> {
    return Buffer.from(await this.render());
  }
}
