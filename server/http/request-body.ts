import type { Request, RequestHandler } from 'express';
import type { IncomingMessage } from 'node:http';
import type { BodyBudget } from '../limits/body-budget.js';
import { jsonBody } from './json-body.js';

interface RequestBodyDependencies {
  readonly bodies: Pick<BodyBudget, 'open'>;
  /** Who sends a request: a user or an address. */
  readonly callerOf: (request: Request) => string;
}

/**
 * Reads a JSON body, of bounded size and within the budget of unfinished bodies. It comes after authentication: what an unknown client
 * sends is not read.
 */
export function requestBody(
  { bodies, callerOf }: RequestBodyDependencies,
  settings: { readonly limitBytes: number },
): RequestHandler {
  const read = jsonBody(settings.limitBytes);
  return (request, response, next) => {
    let done = next;
    if (hasBody(request)) {
      const held = bodies.open(callerOf(request));
      const onData = (chunk: Buffer) => {
        try {
          held.add(chunk.length);
        } catch (error) {
          request.off('data', onData);
          held.release();
          // The reader drops what it has, and what still comes.
          request.emit('error', error);
        }
      };
      // The reader attaches its own listener in this turn, so it misses nothing.
      request.on('data', onData);
      response.once('close', held.release);
      // A complete body is held until its turn to be parsed.
      done = (error?: unknown) => {
        // The reader may have given up on the rest, and listens no longer.
        request.off('data', onData);
        held.release();
        next(error);
      };
    }
    void read(request, response, done);
  };
}

/** Whether a request comes with a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = headers;
  return encoding !== undefined || (length !== undefined && length !== '0');
}
