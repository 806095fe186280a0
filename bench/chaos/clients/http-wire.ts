import type { Wire, WireAnswer, WireHandlers, WireOpening } from './wire.js';

/** A request that takes longer is given up; its outcome is not known. */
const requestLimitMs = 6000;

/**
 * A backend that publishes by `/api/…`, one request after the other, so that they have an order. When a request fails on
 * its way, the connection counts as ended.
 */
export class HttpWire implements Wire {
  private readonly ending = new AbortController();
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly opening: WireOpening,
    private readonly handlers: WireHandlers,
  ) {
    setImmediate(() => {
      if (!this.ending.signal.aborted)
        handlers.onEvent('status', { status: 'connected', details: {} }, () => {});
    });
  }

  call(command: string, request: Record<string, unknown>): Promise<WireAnswer | undefined> {
    const answer = this.last.then(() => this.post(command, request));
    this.last = answer;
    return answer;
  }

  pauseReading(): void {}

  abort(): void {
    this.end('aborted');
  }

  private async post(
    command: string,
    { key, ...body }: Record<string, unknown>,
  ): Promise<WireAnswer | undefined> {
    const { signal } = this.ending;
    if (signal.aborted) return undefined;
    try {
      const response = await fetch(`http://127.0.0.1:${this.opening.port}/api/${command}`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${this.opening.token}`,
          'content-type': 'application/json',
          'idempotency-key': String(key),
        },
        body: JSON.stringify(body),
        signal: AbortSignal.any([signal, AbortSignal.timeout(requestLimitMs)]),
      });
      return (await response.json()) as WireAnswer;
    } catch (error) {
      this.end(String(error));
      return undefined;
    }
  }

  private end(reason: string): void {
    if (this.ending.signal.aborted) return;
    this.ending.abort();
    this.handlers.onEnd(reason);
  }
}
