import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';

/** The events of engine.io before the answer of a handshake. */
interface HandshakeAnswers {
  on(event: 'headers', listener: (headers: object, request: IncomingMessage) => void): unknown;
}

/**
 * Prevents a client that resets its connection during an upgrade from ending the process. Node removes its
 * own error listener from the socket before it emits `upgrade`, and ws adds one only when it answers. Between
 * the two, while the upgrade waits for admission, authentication or refusal, the socket would have none. This
 * covers every path, also paths that are not served.
 */
export function guardUpgrades(http: HttpServer, engine: HandshakeAnswers): void {
  // Before all other listeners, because one of them may throw.
  http.prependListener('upgrade', (_request: IncomingMessage, socket: Duplex) => {
    socket.on('error', ignore);
  });
  engine.on('headers', (_headers, request) => {
    // Not with the answer to an earlier request of long-polling on the same connection.
    if ((request as { readonly upgrade?: boolean }).upgrade === true) endUpgradeGuard(request);
  });
}

/**
 * Must be called in the turn in which ws answers an upgrade. From then on the error listener of ws is used,
 * and an idle connection stays small.
 */
export function endUpgradeGuard(request: IncomingMessage): void {
  request.socket.off('error', ignore);
}

/** Node destroys the socket after an error. Code that needs to react listens to `close`. */
function ignore(): void {}
