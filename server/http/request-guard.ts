import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { errorTable, RefusalError, retryAfterSecs } from '../../shared/errors.js';
import type { BodyBudget, HeldBody } from '../limits/body-budget.js';
import { systemClock } from '../primitives/clock.js';
import { LateBodies } from './late-bodies.js';
import { hasBody } from './request-body.js';
import { Pipelines } from './pipelines.js';
import { markReady } from './ready-since.js';
import { RoomQueue } from './room-queue.js';
import { withPath } from './routed-path.js';
import type { RequestTurns } from './request-turns.js';

interface RequestGuardSettings {
  /** A body has to arrive within this time, in milliseconds. */
  readonly bodyTimeoutMs: number;
  /** Whether the time limit of bodies applies to a request: an embedding program may receive large files. */
  readonly isTimed: (request: IncomingMessage) => boolean;
  /** Whether the pieces of its body are counted: a program decides for its own paths. */
  readonly isCounted: (request: IncomingMessage) => boolean;
}

interface RequestGuardDependencies {
  /** Calls `admit` with the size of each piece of a body, whether it is read or not. What it returns false for is dropped. */
  readonly countPieces: (
    request: IncomingMessage,
    pieces: { readonly admit: (bytes: number) => boolean },
  ) => void;
  /** Takes nothing more from a connection that is being closed. */
  readonly takeNothingMore: (socket: Socket) => void;
  /** Closes a connection whose body has not arrived when its request has been answered for a while. */
  readonly cut: (socket: Socket) => void;
  readonly turns: Pick<RequestTurns, 'run'>;
  /** Stops and starts reading a connection: what its client sends meanwhile waits in the kernel. */
  readonly reading: {
    /** False if it is not read anyway. */
    readonly hold: (socket: Socket) => boolean;
    readonly start: (socket: Socket) => void;
    /** Whether its client has reset it. Nothing else says so while it is not read. */
    readonly hasGone: (socket: Socket) => boolean;
  };
  /** Whether new connections come turn after turn. */
  readonly connections: { readonly isPressed: boolean };
  /** Where what is read of a body after the answer is counted. */
  readonly bodies: Pick<BodyBudget, 'open' | 'isOver'>;
  /** Whose turn a request takes, and whose share what no route reads of its body. */
  readonly callerOf: (request: IncomingMessage) => string;
}

/**
 * A body that is still arriving when its request has been answered is not read any longer than this, in milliseconds. Closing at once would
 * keep the client from reading the answer.
 */
const lateBodyMs = 1000;
/** And no more of it than this, in bytes. A client that has sent less may send its next request on the same connection. */
const lateBodyBytes = 4 * 2 ** 20;
/** What is announced with less, in bytes, is thrown away uncounted, as the head of a request is, which may be larger: a client need not wait for room. */
const smallBodyBytes = 4096;
/** While new connections come turn after turn, it is not read at all, and looked at again after so many milliseconds. */
const lateBodyCheckMs = 100;
/** A connection that waits for room is closed after this time, in milliseconds: nothing says meanwhile that its client has ended it. */
const waitsForRoomMs = 10_000;

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
  const unread = {
    late: new LateBodies(),
    room: new RoomQueue({ clock: systemClock, isOver: (caller) => dependencies.bodies.isOver(caller) }),
  };
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
    if (hasBody(request)) limitBody(request, response, unread, dependencies, settings);
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
  { late, room }: { readonly late: LateBodies; readonly room: RoomQueue },
  {
    countPieces,
    takeNothingMore,
    cut: closeLate,
    bodies,
    callerOf,
    reading,
    connections,
  }: RequestGuardDependencies,
  { bodyTimeoutMs, isTimed, isCounted }: RequestGuardSettings,
): void {
  const { socket } = request;
  let isStopped = false;
  const stop = () => {
    isStopped = true;
    nowAndLater(() => takeNothingMore(socket));
  };
  const isInPieces = isCounted(request) ? pieceLimit(request, response, stop) : () => true;
  let cut: NodeJS.Timeout | undefined;
  let awaitNoMore: (() => void) | undefined;
  let isWaiting = false;
  let waitsSince: number | undefined;
  const closeSoon = () => {
    cut ??= setTimeout(() => {
      cut = undefined;
      // A connection of which nothing more is taken would never answer a next request, also where its body has come to its end.
      if (!socket.destroyed && (isStopped || (!request.complete && !isWaiting))) closeLate(socket);
      // A route that has read a part of it, and paused, keeps its end from being told.
      else if (request.complete) awaitNoMore?.();
    }, lateBodyMs).unref();
  };
  // Read at once, the connection of who sends ever new bodies that are refused would fill memory as fast as it can send.
  const waitForRoom = () => {
    if (isWaiting) {
      // An earlier request of its connection has had it read again.
      reading.hold(socket);
      return;
    }
    isWaiting = true;
    // Over all its waits: where room comes and goes, a connection whose client has ended it would be kept for minutes.
    const since = (waitsSince ??= performance.now());
    nowAndLater(() => {
      if (isWaiting && !socket.destroyed) reading.hold(socket);
    });
    room.wait(callerOf(request), {
      hasEnded: () => {
        if (!isWaiting || socket.destroyed) return true;
        const hasGone = reading.hasGone(socket);
        const isTooLong = performance.now() - since >= waitsForRoomMs;
        if (hasGone) socket.destroy();
        else if (isTooLong) closeLate(socket);
        return hasGone || isTooLong;
      },
      goOn: () => {
        isWaiting = false;
        // Its rest may have come long ago, and wait in the kernel.
        if (!request.complete) closeSoon();
        reading.start(socket);
      },
    });
  };
  const unread = unreadLimit(request, response, () => bodies.open(callerOf(request)), {
    isFull: () => isWaiting,
    onFull: waitForRoom,
    onEnd: () => {
      isWaiting = false;
      stop();
      closeSoon();
    },
  });
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
    response.once('close', () => socket.destroyed && done());
  }
  response.once('finish', () => {
    unread.answered();
    if (request.complete || isRead(request)) return;
    // Otherwise it would hold the request long after its connection has closed.
    clearTimeout(timer);
    const caller = callerOf(request);
    if (!late.begin(caller)) {
      closeLate(socket);
      return;
    }
    closeSoon();
    awaitNoMore = whenOver(request, () => {
      if (!isStopped) clearTimeout(cut);
      late.end(caller);
    });
    const readLater = () =>
      setTimeout(() => {
        if (socket.destroyed || isStopped) return;
        if (connections.isPressed) readLater();
        else if (!isWaiting) reading.start(socket);
      }, lateBodyCheckMs).unref();
    if (!connections.isPressed) return;
    nowAndLater(() => {
      if (!request.complete) reading.hold(socket);
    });
    readLater();
  });
}

/** Stops reading a connection now, and once more when Node has begun to throw away a body that was answered: it starts to read again then. */
function nowAndLater(stopReading: () => void): void {
  stopReading();
  setImmediate(stopReading);
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

/**
 * Limits what comes of bodies that no route reads, before their requests have been answered and afterwards. It is thrown away: a caller who sends ever
 * new bodies that are refused fills memory with it, until it is collected.
 */
function unreadLimit(
  request: IncomingMessage,
  response: ServerResponse,
  open: () => HeldBody,
  /** What to do when there is no room for what has come at present, and when nothing more may come. */
  {
    isFull,
    onFull,
    onEnd,
  }: { readonly isFull: () => boolean; readonly onFull: () => void; readonly onEnd: () => void },
): { admit(bytes: number): boolean; answered(): void } {
  const announced = Number(request.headers['content-length']);
  if (announced < smallBodyBytes) return { admit: () => true, answered() {} };
  /** Its end does not come, however long it is awaited. */
  const isTooLong = announced > lateBodyBytes;
  /** What a route may still read. */
  let early = 0;
  let late = 0;
  let held: HeldBody | undefined;
  const discard = () => {
    held?.discard();
    held = undefined;
  };
  const count = (bytes: number): boolean => {
    if (late === 0) whenOver(request, discard);
    late += bytes;
    // Thousands of pieces may be left of what has been read: an error for each would take longer than all else.
    const isAdmitted = !isFull() && hasRoom((held ??= open()), bytes);
    if (!isAdmitted) discard();
    if (late > lateBodyBytes || (!isAdmitted && isTooLong)) onEnd();
    else if (!isAdmitted) onFull();
    return isAdmitted && late <= lateBodyBytes;
  };
  return {
    admit: (bytes) => {
      if (isRead(request)) return true;
      if (response.writableFinished) return count(bytes);
      early += bytes;
      return true;
    },
    answered: () => {
      if (early > 0 && !request.readableDidRead) count(early);
    },
  };
}

/** Whether a route reads a body at present: as a stream that flows, or, as `for await` and `pipeline` do, when something can be read. */
function isRead(request: IncomingMessage): boolean {
  return request.listenerCount('data') > 0 || request.listenerCount('readable') > 0;
}

/**
 * Calls back once, when a body has come to its end, its connection has closed or the returned function is called, and leaves no listener on a
 * connection with more requests.
 */
function whenOver(request: IncomingMessage, run: () => void): () => void {
  const { socket } = request;
  let isOver = false;
  const over = () => {
    if (isOver) return;
    isOver = true;
    request.off('end', over);
    socket.off('close', over);
    run();
  };
  request.on('end', over);
  socket.on('close', over);
  return over;
}

function hasRoom(held: HeldBody, bytes: number): boolean {
  try {
    held.add(bytes);
    return true;
  } catch {
    return false;
  }
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
