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
    if (hasBody(request)) {
      const held = bodies.open(callerOf(request));
      const onData = (chunk: Buffer) => {
        try {
          held.add(chunk.length);
        } catch (error) {
          request.off('data', onData);
          held.release();
          stopReading(request, error);
        }
      };
      // The reader attaches its own listener in this turn, so it misses nothing.
      request.on('data', onData);
      request.once('end', held.release);
      request.once('close', held.release);
    }
    void read(request, response, next);
  };
}

/** Whether a request comes with a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = headers;
  return encoding !== undefined || (length !== undefined && length !== '0');
}

/** Makes the reader give up with an error: it drops what it has, and what still comes. */
function stopReading(request: IncomingMessage, error: unknown): void {
  const { 'content-encoding': encoding = 'identity' } = request.headers;
  // The reader of a compressed body listens to the decompressed stream, not to the request.
  if (encoding.toLowerCase() === 'identity') request.emit('error', error);
  else request.destroy();
}
