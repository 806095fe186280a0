import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { RefusalError } from '../../../shared/errors.js';
import { pendingResponse } from '../engine-internals/pending-response.js';
import { serveWithoutUpgrade } from '../engine-internals/plain-request.js';
import { refuseUpgrade } from './handshake-refusal.js';

type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

interface UnservedUpgradesDependencies {
  readonly http: HttpServer;
  /** Whether the service itself answers an upgrade to a WebSocket. */
  readonly isServed: (request: IncomingMessage) => boolean;
  /** Listeners of the program that were there before the service added its own. */
  readonly before: readonly unknown[];
}

interface UnservedUpgradesSettings {
  /** Time that a program may take to answer an upgrade, in milliseconds. */
  readonly limitMs: number;
}

/**
 * Answers upgrades that the service does not serve. Node leaves each to the listeners, and a client that nobody answers waits for ever.
 *
 * - An offer of another protocol, such as `Upgrade: h2c` of curl, is ignored: the request is served as plain HTTP (RFC 9110, section 7.8).
 * - A WebSocket at another path is refused with 404.
 * - If an embedding program listens to upgrades too, it answers them, and takes its time; then the socket is closed. It stands in for
 *   engine.io's option `destroyUpgrade`, which also runs a timer for each client of `/ws`, keeps the process alive meanwhile, and leaves the
 *   socket open as long as the client keeps its side open.
 *
 * To be called when all listeners of the service are attached.
 */
export function answerUnservedUpgrades(
  { http, isServed, before }: UnservedUpgradesDependencies,
  { limitMs }: UnservedUpgradesSettings,
): void {
  const own = http.listeners('upgrade').filter((listener) => !before.includes(listener)) as UpgradeListener[];
  for (const listener of own) http.off('upgrade', listener);
  // Before all others: one of them may answer at once.
  http.prependListener('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const isAlone = http.listenerCount('upgrade') === 1;
    const isOfProgram = !isAlone && !isServed(request);
    if (isOfProgram) closeUnanswered(request, limitMs);
    afterEarlierAnswers(request.socket, { isOfProgram }, () => {
      if (isAlone && !isWebSocket(request)) serveWithoutUpgrade(http, request, head);
      else if (isAlone && !isServed(request)) refuse(request, socket);
      else for (const listener of own) listener.call(http, request, socket, head);
    });
  });
}

function isWebSocket({ headers }: IncomingMessage): boolean {
  return (headers.upgrade ?? '').toLowerCase().includes('websocket');
}

function refuse(request: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => {});
  const path = JSON.stringify(request.url?.split('?', 1)[0]?.slice(0, 200));
  refuseUpgrade(socket, new RefusalError('not_found', `there is no WebSocket at ${path}`));
}

function closeUnanswered({ socket }: IncomingMessage, limitMs: number): void {
  // A client may reset a connection that no listener takes care of: without this, that would end the program.
  socket.on('error', () => {});
  const closeLater = () => {
    const { bytesWritten } = socket;
    setTimeout(() => {
      if (socket.bytesWritten === bytesWritten) socket.destroy();
    }, limitMs).unref();
  };
  // The requests before it may never be answered: their routes cannot learn that their client has gone.
  socket.once('end', closeLater);
  afterEarlierAnswers(socket, { isOfProgram: true }, () => {
    socket.off('end', closeLater);
    closeLater();
  });
}

/**
 * Runs at once, or when the requests before an upgrade on its connection are answered: its client would take the answer of the upgrade for theirs
 * (RFC 9112, section 9.3.2). Never, if the connection closes before, or its client closes its side: a route that waits learns of it then, as from Node
 * where no upgrade follows. What a program reads itself it closes itself.
 */
function afterEarlierAnswers(
  socket: Socket,
  { isOfProgram }: { readonly isOfProgram: boolean },
  run: () => void,
): void {
  const earlier = pendingResponse(socket);
  if (earlier === undefined) {
    run();
    return;
  }
  // Nobody else listens meanwhile.
  const ignore = () => {};
  const endToo = () => socket.end();
  socket.on('error', ignore);
  if (!isOfProgram) socket.on('end', endToo);
  earlier.once('close', () => {
    if (socket.destroyed) return;
    // Its client has closed its side, and has its answers.
    if (socket.readableEnded) {
      socket.destroySoon();
      return;
    }
    socket.off('error', ignore);
    socket.off('end', endToo);
    afterEarlierAnswers(socket, { isOfProgram }, run);
  });
}
