import type { Response } from 'express';
import type { AnswerBudget, AnswerHold } from '../limits/answer-budget.js';

interface BoundedResponseSettings {
  /** Bytes that are reserved for an answer before it is read. */
  readonly answerBytes: number;
  /** A response that is not read within this time is aborted. */
  readonly timeoutMs: number;
}

/** Sends responses that can be large within the answer budget of the process. */
export class BoundedResponses {
  constructor(
    private readonly budget: AnswerBudget,
    private readonly settings: BoundedResponseSettings,
  ) {}

  /**
   * Reserves room for the response; it is returned when the response has been written or its client is gone.
   * Undefined: the client has left meanwhile.
   *
   * @throws RefusalError `busy`
   */
  async acquire(response: Response, userId: string): Promise<AnswerHold | undefined> {
    const hold = await this.budget.acquire(userId, this.settings.answerBytes);
    if (response.closed || response.socket?.destroyed === true) {
      hold.release();
      return undefined;
    }
    response.once('close', () => hold.release());
    return hold;
  }

  /** Sends JSON. */
  send(response: Response, hold: AnswerHold, body: unknown): void {
    // A buffer is outside of the heap while it waits for its client.
    const content = Buffer.from(JSON.stringify(body));
    const abort = () => response.socket?.destroy();
    hold.written(content.length, abort);
    const timer = setTimeout(abort, this.settings.timeoutMs);
    timer.unref();
    response.once('close', () => clearTimeout(timer));
    response.set('Content-Type', 'application/json; charset=utf-8').send(content);
  }
}
