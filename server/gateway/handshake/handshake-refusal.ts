import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { responseOf } from '../engine-internals/engine-server.js';
import { bearerChallenge } from '../../protocol/bearer-token.js';
import { errorTable, retryAfterSecs, toWireError, type WireError } from '../../../shared/errors.js';

/**
 * Answers a refused upgrade with an HTTP status, `Retry-After` if the error has one, and the same error
 * object as all wires.
 */
export function refuseUpgrade(socket: Duplex, error: unknown): void {
  const { status, headers, body } = answerTo(toWireError(error));
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  // A client that does not close its side would keep the socket, and its connection slot, for ever.
  socket.once('finish', () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}Connection: close\r\n\r\n${body}`,
  );
}

/** Answers a refused Socket.IO handshake, in the same way for long-polling and upgrades. */
export function refuseHandshake(request: IncomingMessage, error: unknown): void {
  const response = responseOf(request);
  if (response === undefined) {
    refuseUpgrade(request.socket, error);
    return;
  }
  refuseRequest(response, error);
}

/** Answers a refused request of long-polling. */
export function refuseRequest(response: ServerResponse, error: unknown): void {
  const { status, headers, body } = answerTo(toWireError(error));
  // A refused client shall not hold a TCP connection.
  response.writeHead(status, { ...headers, Connection: 'close' }).end(body);
}

function answerTo(error: WireError) {
  const body = JSON.stringify({ error });
  const waitSecs = retryAfterSecs(error);
  const status = errorTable[error.code].http;
  const headers: Record<string, string | number> = {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    ...(waitSecs !== undefined && { 'Retry-After': waitSecs }),
    // A handshake without a token is refused by the same code as one with a wrong token.
    ...(status === 401 && { 'WWW-Authenticate': bearerChallenge(false) }),
  };
  return { status, headers, body };
}
