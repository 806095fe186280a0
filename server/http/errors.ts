import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import { errorTable, RefusalError, toWireError, type WireError } from '../../shared/errors.js';
import type { Log } from '../telemetry/log.js';

/** Answers with an error: its status, `Retry-After` where there is one, and the error object of every wire. */
export function sendError(response: Response, error: WireError): void {
  if (error.retry_after_ms !== undefined)
    response.setHeader('Retry-After', Math.ceil(error.retry_after_ms / 1000));
  response.status(errorTable[error.code].http).json({ error });
}

/** For paths that do not exist. */
export const notFound: RequestHandler = (request, response) => {
  sendError(
    response,
    new RefusalError('not_found', `there is no ${request.method} ${request.path}`).toWire(),
  );
};

/** Turns whatever a route threw into an answer. */
export function errorHandler(log: Log): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const wire = wireErrorOf(error);
    sendError(response, wire);
    if (wire.code === 'internal') log.error('Request failed', { path: request.path, error });
  };
}

/** What a caller is told of any error that a route threw. */
export function wireErrorOf(error: unknown): WireError {
  return toWireError(fromBodyParser(error));
}

/** express' body reader throws errors of its own. */
function fromBodyParser(error: unknown): unknown {
  const { type, limit, length } = (error ?? {}) as { type?: string; limit?: number; length?: number };
  if (type === 'entity.parse.failed') return new RefusalError('invalid_json', 'the body is not JSON');
  if (type === 'entity.too.large') {
    return new RefusalError('message_too_large', 'the body is too large', {
      ...(limit !== undefined && { limit }),
      ...(length !== undefined && { size: length }),
    });
  }
  return error;
}
