import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import { errorTable, RefusalError, retryAfterSecs } from '../../shared/errors.js';
import { hasBody } from './request-body.js';
import { Pipelines } from './pipelines.js';
import { markReady } from './ready-since.js';
import { withPath } from './routed-path.js';
import type { RequestTurns } from './request-turns.js';
import { UnreadBody, unreadBodies, type UnreadBodiesDependencies } from './unread-body.js';

interface RequestGuardSettings {
  /** A body has to arrive within this time, in milliseconds. */
  readonly bodyTimeoutMs: number;
  /** Whether the time limit of bodies applies to a request: an embedding program may receive large files. */
  readonly isTimed: (request: IncomingMessage) => boolean;
  /** Whether the pieces of its body are counted: a program decides for its own paths. */
  readonly isCounted: (request: IncomingMessage) => boolean;
}

interface RequestGuardDependencies extends UnreadBodiesDependencies {
  /** Calls `admit` with the size of each piece of a body, whether it is read or not. What it returns false for is dropped. */
  readonly countPieces: (
    request: IncomingMessage,
    pieces: { readonly admit: (bytes: number) => boolean },
  ) => void;
  /** Whose turn a request takes, and in whose share its body counts. */
  readonly callerOf: (request: IncomingMessage) => string;
  readonly turns: Pick<RequestTurns, 'run'>;
}

/**
 * A body may come in this many pieces, and one more for each so many bytes. The smallest segments that TCP has to expect have 536 bytes; with
 * `Transfer-Encoding: chunked` a client decides, and each piece costs work and memory, however small it is.
 */
const leastPieces = 512;
const bytesPerPiece = 512;

/**
 * Limits requests before any other listener handles them: one at a time on each connection, how many wait there, how many run in one turn of the event loop, and
 * the time and the pieces of their bodies. To be called when all listeners of the service are attached.
 */
export function guardRequests(
  http: HttpServer,
  dependencies: RequestGuardDependencies,
  settings: RequestGuardSettings,
): void {
  const { takeNothingMore, callerOf } = dependencies;
  const pipelines = new Pipelines();
  const unread = unreadBodies(dependencies);
  const listeners = http.listeners('request');
  http.removeAllListeners('request');
  // Node would answer other expectations than 100-continue itself, past all limits, and they may be ignored (RFC 9110, 10.1.1).
  if (http.listenerCount('checkExpectation') === 0)
    http.on('checkExpectation', (request, response) => http.emit('request', request, response));
  http.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    const caller = callerOf(request);
    if (!pipelines.admit(request, caller)) {
      takeNothingMore(socket);
      return;
    }
    if (hasBody(request))
      limitBody(request, response, new UnreadBody(unread, request, response, caller), dependencies, settings);
    request.url = withPath(request.url);
    const handle = () => {
      for (const listener of listeners) listener.call(http, request, response);
    };
    const start = () => {
      markReady(request);
      // Its body was refused while it waited.
      if (response.headersSent || runInTurn(request, response, caller, dependencies, handle)) return;
      takeNothingMore(socket);
      const busy = new RefusalError('busy', 'too many requests wait', { retryAfterMs: 1000 });
      refuse(request, response, busy, 503);
    };
    response.once('close', () => pipelines.done(socket));
    pipelines.add(request, caller, start);
  });
}

/** Handles a request now, or in its turn: until then its body waits in the kernel. False: too many wait. */
function runInTurn(
  request: IncomingMessage,
  response: ServerResponse,
  caller: string,
  { turns, reading }: RequestGuardDependencies,
  handle: () => void,
): boolean {
  const { socket } = request;
  let isHeld = false;
  let isBegun = false;
  const isAdmitted = turns.run(caller, socket, () => {
    isBegun = true;
    // What had arrived of its body was refused meanwhile.
    if (response.headersSent) return;
    if (isHeld && reading.hasGone(socket)) {
      socket.destroy();
      return;
    }
    if (isHeld) reading.start(socket);
    handle();
  });
  if (isAdmitted && !isBegun && hasBody(request)) isHeld = reading.hold(socket);
  return isAdmitted;
}

function limitBody(
  request: IncomingMessage,
  response: ServerResponse,
  unread: UnreadBody,
  { countPieces }: Pick<RequestGuardDependencies, 'countPieces'>,
  { bodyTimeoutMs, isTimed, isCounted }: RequestGuardSettings,
): void {
  const isInPieces = isCounted(request) ? pieceLimit(request, response, () => unread.stop()) : () => true;
  // Each piece counts, also one that is dropped.
  countPieces(request, { admit: (bytes) => isInPieces(bytes) && unread.admit(bytes) });
  let timer: NodeJS.Timeout | undefined;
  if (isTimed(request)) {
    timer = setTimeout(() => {
      if (!request.complete) refuseSlow(request, response, bodyTimeoutMs);
    }, bodyTimeoutMs);
    timer.unref();
    const done = () => clearTimeout(timer);
    request.once('end', done);
    request.once('close', done);
    // A request that was answered before its body had arrived does not close with its connection.
    response.once('close', () => request.socket.destroyed && done());
  }
  response.once('finish', () => {
    // Otherwise it would hold the request long after its connection has closed.
    if (unread.answered()) clearTimeout(timer);
  });
}

function pieceLimit(
  request: IncomingMessage,
  response: ServerResponse,
  onOver: () => void,
): (bytes: number) => boolean {
  let pieces = 0;
  let bytes = 0;
  return (more) => {
    pieces++;
    bytes += more;
    const limit = leastPieces + Math.floor(bytes / bytesPerPiece);
    if (pieces <= limit) return true;
    onOver();
    const text = `a body of ${bytes} bytes may come in ${limit} pieces`;
    refuse(request, response, new RefusalError('message_too_large', text, { limit, size: pieces }));
    return false;
  };
}

function refuseSlow(request: IncomingMessage, response: ServerResponse, limitMs: number): void {
  const text = `the body has not arrived within ${limitMs} ms`;
  refuse(request, response, new RefusalError('timeout', text, { limit: limitMs }), 408);
}

/** Answers a request that is not read to its end, and closes its connection. */
function refuse(
  { socket }: IncomingMessage,
  response: ServerResponse,
  error: RefusalError,
  status = errorTable[error.code].http,
): void {
  if (response.headersSent) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify({ error: error.toWire() });
  response.once('finish', () => socket.destroy());
  const waitSecs = retryAfterSecs(error.toWire());
  if (waitSecs !== undefined) response.setHeader('Retry-After', waitSecs);
  response.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close' }).end(body);
}
