import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { errorTable, toWireError, type WireError } from '../../../shared/errors.js';

/** Answers an upgrade that is refused: an HTTP status, `Retry-After` where there is one, and the error object of every wire. */
export function refuseUpgrade(socket: Duplex, error: unknown): void {
  const { status, headers, body } = answerTo(toWireError(error));
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  // A client that does not close its side would keep the socket, and its connection slot, for ever.
  socket.once('finish', () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}Connection: close\r\n\r\n${body}`,
  );
}

/** Answers a handshake of Socket.IO that is refused, by long-polling or by an upgrade, in the same way. */
export function refuseHandshake(request: IncomingMessage, error: unknown): void {
  // engine.io leaves the response of a plain request on it.
  const { res: response } = request as IncomingMessage & { res?: ServerResponse };
  if (response === undefined) {
    refuseUpgrade(request.socket, error);
    return;
  }
  const { status, headers, body } = answerTo(toWireError(error));
  response.writeHead(status, headers).end(body);
}

function answerTo(error: WireError) {
  const body = JSON.stringify({ error });
  const { retry_after_ms: retryAfterMs } = error;
  const headers: Record<string, string | number> = {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    ...(retryAfterMs !== undefined && { 'Retry-After': Math.ceil(retryAfterMs / 1000) }),
  };
  return { status: errorTable[error.code].http, headers, body };
}
