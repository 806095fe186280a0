import type { Request, RequestHandler } from 'express';
import type { IncomingMessage } from 'node:http';
import { RefusalError } from '../../shared/errors.js';
import type { BodyBudget } from '../limits/body-budget.js';
import { jsonBody } from './json-body.js';

/** What a request holds until its body is complete, beside the body: a connection, two objects of Node, what Express adds. Measured: 40 KiB. */
const requestBytes = 32_768;

interface RequestBodyDependencies {
  readonly bodies: Pick<BodyBudget, 'open'>;
  /** Who sends a request: a user or an address. */
  readonly callerOf: (request: Request) => string;
}

/**
 * Reads a JSON body, of bounded size and within the budget of unfinished bodies. It comes after authentication: what an unknown client
 * sends is not read. A body above a limit is refused at once: its reader would answer when all of it has arrived.
 */
export function requestBody(
  { bodies, callerOf }: RequestBodyDependencies,
  { limitBytes }: { readonly limitBytes: number },
): RequestHandler {
  const read = jsonBody(limitBytes);
  return (request, response, next) => {
    if (!hasBody(request)) {
      void read(request, response, next);
      return;
    }
    const announced = Number(request.headers['content-length'] ?? 0);
    if (announced > limitBytes) throw tooLarge(limitBytes, announced);
    const held = bodies.open(callerOf(request), requestBytes);
    response.once('close', held.discard);
    let isDone = false;
    // A complete body is held until its turn to be parsed.
    const done = (error?: unknown) => {
      if (isDone) return;
      isDone = true;
      request.off('data', onData);
      if (error === undefined) held.release();
      else held.discard();
      next(error);
    };
    let size = 0;
    const onData = (piece: Buffer) => {
      size += piece.length;
      try {
        if (size > limitBytes) throw tooLarge(limitBytes, size);
        held.add(piece.length);
      } catch (error) {
        done(error);
        // The reader drops what it has, and what still comes.
        if (request.listenerCount('error') > 0) request.emit('error', error);
      }
    };
    // The reader attaches its own listener in this turn, so it misses nothing.
    request.on('data', onData);
    void read(request, response, done);
  };
}

function tooLarge(limit: number, size: number): RefusalError {
  return new RefusalError('message_too_large', 'the body is too large', { limit, size });
}

/** Whether a request comes with a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = headers;
  return encoding !== undefined || (length !== undefined && length !== '0');
}
