import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import type { Server as SocketIoServer } from 'socket.io';
import type { Log } from '../logging/log.js';
import { Registry } from '../primitives/registry.js';
import { withTimeout } from '../primitives/with-timeout.js';
import { shuttingDown } from '../protocol/shutting-down.js';
import { closeReasons, closeTimeoutMs } from './close-codes.js';
import { closePollings, closeWebSockets } from './engine-internals/engine-server.js';
import { leaveAll } from './engine-internals/namespaces.js';
import { refuseRequest } from './handshake/handshake-refusal.js';
import type { WsUpgrade } from './ws/upgrade.js';

interface GatewayCloseDependencies {
  readonly http: HttpServer;
  readonly io: SocketIoServer;
  readonly upgrades: Pick<WsUpgrade, 'close'>;
  readonly log: Log;
}

/** Clients of long-polling get this share of the time for their next poll. Meanwhile new TCP connections are accepted. */
const pollShare = 0.75;

/**
 * Closes all connections of a replica. Each WebSocket gets a close frame with a code, each client of long-polling a close packet with its
 * next poll, and a request whose body is still on its way is refused. What is open after a short time is destroyed.
 */
export class GatewayClose {
  /**
   * The TCP sockets of the HTTP server, upgraded ones included: Node no longer tracks a socket after its
   * upgrade.
   */
  private readonly open = new Registry<Socket>();
  /** Responses that are not finished. */
  private readonly responses = new Registry<ServerResponse>();
  private isClosing = false;

  constructor(private readonly dependencies: GatewayCloseDependencies) {
    const { http } = dependencies;
    http.on('connection', (socket: Socket) => {
      // A request without its offer of an upgrade is read again: see `engine-internals/plain-request.ts`.
      if (this.open.has(socket)) return;
      this.open.add(socket);
      socket.on('close', this.onClosed);
    });
    http.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
      this.responses.add(response);
      response.on('close', this.onAnswered);
      if (this.isClosing) endAfter(response);
    });
  }

  /** @param limitMs time for all of it; by default and at most {@link closeTimeoutMs} */
  async close(limitMs: number = closeTimeoutMs): Promise<void> {
    const { http, io, upgrades } = this.dependencies;
    this.isClosing = true;
    const limit = Math.min(limitMs, closeTimeoutMs);
    const cutAt = performance.now() + limit;
    // First the answers of this turn are written.
    await setImmediate();
    upgrades.close(closeReasons.shuttingDown);
    closeWebSockets(io, closeReasons.shuttingDown);
    leaveAll(io, 'server shutting down', this.onFailure);
    const polled = closePollings(io);
    this.endResponses();
    await withTimeout(polled, limit * pollShare).catch(() => {});
    const closed = new Promise<void>((resolve) => http.close(() => resolve()));
    const cut = setTimeout(() => this.cutOff(), Math.max(0, cutAt - performance.now()));
    await closed;
    clearTimeout(cut);
    // Nothing is left but its adapters and timers. A listener of a program may throw.
    await io.close().catch(this.onFailure);
  }

  /** Refuses requests that have not arrived; of the others, the connection ends with the answer. */
  private endResponses(): void {
    for (const response of [...this.responses]) {
      if (response.req.complete) endAfter(response);
      else if (!response.headersSent && !response.destroyed) {
        response.once('finish', () => response.req.socket.destroy());
        refuseRequest(response, shuttingDown());
      }
    }
  }

  private cutOff(): void {
    this.dependencies.log.info('Connections cut off', { connections: this.open.size });
    for (const socket of [...this.open]) socket.destroy();
  }

  private readonly onFailure = (error: unknown): void => {
    this.dependencies.log.error('Close of a connection failed', { error });
  };

  // Listeners shared by all emitters; `this` is the emitter.

  private readonly onClosed = ((closing: GatewayClose) =>
    function (this: Socket): void {
      closing.open.delete(this);
    })(this);

  private readonly onAnswered = ((closing: GatewayClose) =>
    function (this: ServerResponse): void {
      closing.responses.delete(this);
    })(this);
}

/** An idle connection would be kept for the client's next request. */
function endAfter(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('Connection', 'close');
}
