import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';

/** What of engine.io tells that a transport is about to be answered. */
interface HandshakeAnswers {
  on(event: 'headers', listener: (headers: object, request: IncomingMessage) => void): unknown;
}

/**
 * Keeps a client that resets its connection during an upgrade from ending the process. Node takes its own error listener off the socket
 * before it emits `upgrade`, and ws adds one only when it answers. Between the two, while the upgrade waits for admission, for
 * authentication or for its refusal, the socket would have none. This covers every path, also those that nobody serves.
 */
export function guardUpgrades(http: HttpServer, engine: HandshakeAnswers): void {
  // Before all others: one of them may throw.
  http.prependListener('upgrade', (_request: IncomingMessage, socket: Duplex) => {
    socket.on('error', ignore);
  });
  engine.on('headers', (_headers, request) => endUpgradeGuard(request));
}

/** To be called in the turn in which ws answers an upgrade: its own error listener takes over, and an idle connection stays small. */
export function endUpgradeGuard(request: IncomingMessage): void {
  request.socket.off('error', ignore);
}

/** Node destroys the socket after an error; whoever needs to know listens for its `close`. */
function ignore(): void {}
