import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { RefusalError } from '../../shared/errors.js';
import { hasBody } from './request-body.js';

interface RequestGuardSettings {
  /** A body has to arrive within this time, in milliseconds. */
  readonly bodyTimeoutMs: number;
  /** Whether the time limit of bodies applies to a request: an embedding program may receive large files. */
  readonly isTimed: (request: IncomingMessage) => boolean;
}

/**
 * Requests of one TCP connection that may be under way at the same time. HTTP pipelining is rare, and a client that sends a thousand requests
 * in one packet would have them all run at once.
 */
const pipelineLimit = 32;

/**
 * A body that is still arriving when its request has been answered is not read any longer than this, in milliseconds. Closing at once would
 * keep the client from reading the answer.
 */
const lateBodyMs = 1000;

/** Requests under way on a socket. */
const underWay = Symbol('requests under way');

/**
 * Limits requests before any other listener handles them: their number on one connection, and the time of their bodies. To be called when
 * all listeners of the service are attached.
 */
export function guardRequests(http: HttpServer, settings: RequestGuardSettings): void {
  const listeners = http.listeners('request');
  http.removeAllListeners('request');
  http.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (!isAdmitted(request.socket, response)) return;
    if (hasBody(request)) limitBody(request, response, settings);
    for (const listener of listeners) listener.call(http, request, response);
  });
}

function isAdmitted(socket: Socket & { [underWay]?: number }, response: ServerResponse): boolean {
  // Requests that were read together with the one that closed the connection.
  if (socket.destroyed) return false;
  const requests = (socket[underWay] ?? 0) + 1;
  if (requests > pipelineLimit) {
    socket.destroy();
    return false;
  }
  socket[underWay] = requests;
  response.once('close', () => socket[underWay]!--);
  return true;
}

function limitBody(
  request: IncomingMessage,
  response: ServerResponse,
  { bodyTimeoutMs, isTimed }: RequestGuardSettings,
): void {
  const { socket } = request;
  if (isTimed(request)) {
    const timer = setTimeout(() => {
      if (!request.complete) refuseSlow(request, response, bodyTimeoutMs);
    }, bodyTimeoutMs);
    timer.unref();
    const done = () => clearTimeout(timer);
    request.once('end', done);
    request.once('close', done);
  }
  response.once('finish', () => {
    // With a listener the body is still being read by a route.
    if (request.complete || request.listenerCount('data') > 0) return;
    setTimeout(() => {
      if (!request.complete) socket.destroy();
    }, lateBodyMs).unref();
  });
}

function refuseSlow(request: IncomingMessage, response: ServerResponse, limitMs: number): void {
  const { socket } = request;
  if (response.headersSent) {
    socket.destroy();
    return;
  }
  const message = `the body has not arrived within ${limitMs} ms`;
  const body = JSON.stringify({ error: new RefusalError('timeout', message, { limit: limitMs }).toWire() });
  response.once('finish', () => socket.destroy());
  response.writeHead(408, { 'Content-Type': 'application/json', Connection: 'close' }).end(body);
}
