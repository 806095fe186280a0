import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Response } from 'express';
import { jsonPieces } from '../protocol/exact-json.js';
import type { AnswerBudget, AnswerHold } from '../limits/answer-budget.js';
import { jsonParts } from './json-parts.js';

interface BoundedResponseSettings {
  /** Bytes that are reserved for an answer before it is read. */
  readonly answerBytes: number;
  /** A response that is not read within this time is aborted. */
  readonly timeoutMs: number;
}

/** Sends responses that can be large within the answer budget of the process. */
export class BoundedResponses {
  /** What the requests on a connection hold; several if the client sends them without waiting for responses. */
  private readonly holds = new WeakMap<Socket, Set<AnswerHold>>();

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
    const { socket } = response.req;
    if (response.closed || socket.destroyed) {
      hold.release();
      return undefined;
    }
    const held = this.holdsOf(socket);
    held.add(hold);
    response.once('close', () => {
      held.delete(hold);
      hold.release();
    });
    return hold;
  }

  /** A response that waits behind another one on its connection does not emit `close` when that closes. */
  private holdsOf(socket: Socket): Set<AnswerHold> {
    let holds = this.holds.get(socket);
    if (holds === undefined) {
      holds = new Set();
      this.holds.set(socket, holds);
      socket.once('close', () => {
        for (const hold of this.holds.get(socket) ?? []) hold.release();
      });
    }
    return holds;
  }

  /** Sends JSON. */
  send(response: Response, hold: AnswerHold, body: unknown): void {
    // Buffers are outside of the heap while they wait for their client.
    const parts = jsonParts(jsonPieces(body));
    const size = parts.reduce((sum, { length }) => sum + length, 0);
    const abort = () => response.req.socket.destroy();
    hold.written(size, abort);
    const timer = setTimeout(abort, this.settings.timeoutMs);
    timer.unref();
    response.once('close', () => clearTimeout(timer));
    response.set('Content-Type', 'application/json; charset=utf-8');
    if (parts.length === 1) response.send(parts[0]);
    else sendParts(response, parts, size);
  }
}

/** As `send` of Express, but the parts stay parts: to join them makes a copy. */
function sendParts(response: Response, parts: readonly Buffer[], size: number): void {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  response.set('ETag', `W/"${size.toString(16)}-${hash.digest('base64').slice(0, 27)}"`);
  // Sends 304: the client has this answer.
  if (response.req.fresh) response.send();
  else {
    response.set('Content-Length', String(size));
    for (const part of parts) response.write(part);
    response.end();
  }
}
