import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import {
  errorTable,
  RefusalError,
  retryAfterSecs,
  toWireError,
  type WireError,
} from '../../shared/errors.js';
import type { Log } from '../logging/log.js';
import { bearerChallenge } from '../protocol/bearer-token.js';
import { programError } from '../protocol/program-error.js';

/**
 * Answers with an error: its status, `Retry-After` where there is one (503 always has it), `WWW-Authenticate` with a 401, and the error
 * object of every wire.
 */
export function sendError(response: Response, error: WireError): void {
  const waitSecs = retryAfterSecs(error);
  if (waitSecs !== undefined) response.setHeader('Retry-After', waitSecs);
  const status = errorTable[error.code].http;
  const { authorization } = response.req.headers;
  if (status === 401) response.setHeader('WWW-Authenticate', bearerChallenge(authorization !== undefined));
  response.status(status).json({ error });
}

/** Codes of the errors with which Node ends a request whose connection has ended. Those of its parser begin with `HPE`. */
const brokenOff = /^(?:ECONNRESET|HPE_[A-Z_]+)$/;

/** For paths that do not exist. */
export const notFound: RequestHandler = (request, response) => {
  sendError(
    response,
    new RefusalError('not_found', `there is no ${request.method} ${request.path}`).toWire(),
  );
};

/** Turns whatever a route threw into an answer. */
export function errorHandler(log: Log): ErrorRequestHandler {
  // Express takes a function with four arguments for a handler of errors.
  return (error: unknown, request, response, _next) => {
    const wire = wireErrorOf(error);
    if (!response.headersSent) sendError(response, wire);
    // Express would write the stack of every error to standard error, which strangers could fill.
    else if (!response.writableEnded) response.destroy();
    if (wire.code === 'internal') log.error('Request failed', { path: request.path, error });
  };
}

/** Answers any error that a route threw. */
export function wireErrorOf(error: unknown): WireError {
  return toWireError(fromExpress(programError(error)));
}

/** express, and its body reader, throw errors of their own, with a status. */
function fromExpress(error: Error): Error {
  if (error instanceof RefusalError) return error;
  const { type, code, status, limit, length, message } = ownFields(error);
  if (type === 'entity.parse.failed') return new RefusalError('invalid_json', 'the body is not JSON');
  if (type === 'entity.too.large') {
    return new RefusalError('message_too_large', 'the body is too large', {
      ...(typeof limit === 'number' && { limit }),
      ...(typeof length === 'number' && { size: length }),
    });
  }
  // The client has gone, or has sent what is no HTTP behind its request: only the audit log has this.
  if (typeof code === 'string' && brokenOff.test(code))
    return new RefusalError('invalid_message', 'the request was broken off');
  // An address that is no text, a charset or an encoding that nobody knows, a body that breaks off.
  if (typeof status === 'number' && status >= 400 && status < 500)
    return new RefusalError(
      'invalid_message',
      typeof message === 'string' ? message : 'the request cannot be read',
    );
  return error;
}

const fieldNames = ['type', 'code', 'status', 'limit', 'length', 'message'] as const;

/** What the error of a program may not even let be read. */
function ownFields(error: object): Partial<Record<(typeof fieldNames)[number], unknown>> {
  try {
    return Object.fromEntries(fieldNames.map((name) => [name, (error as Record<string, unknown>)[name]]));
  } catch {
    return {};
  }
}
