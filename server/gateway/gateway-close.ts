import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import type { Server as SocketIoServer } from 'socket.io';
import { closeReasons, closeTimeoutMs } from './close-codes.js';
import { closeWebSockets } from './engine-internals/engine-server.js';
import type { WsUpgrade } from './ws/upgrade.js';

interface GatewayCloseDependencies {
  readonly http: HttpServer;
  readonly io: SocketIoServer;
  readonly upgrades: WsUpgrade;
}

/**
 * Closes all connections of a replica: each WebSocket gets a close frame with a code, and sockets still open
 * after a short time are destroyed.
 */
export class GatewayClose {
  /**
   * The TCP sockets of the HTTP server, upgraded ones included: Node no longer tracks a socket after its
   * upgrade.
   */
  private readonly open = new Set<Socket>();

  constructor(private readonly dependencies: GatewayCloseDependencies) {
    dependencies.http.on('connection', (socket: Socket) => {
      this.open.add(socket);
      socket.on('close', this.onClosed);
    });
  }

  async close(): Promise<void> {
    const { io, upgrades } = this.dependencies;
    // First the answers of this turn are written.
    await setImmediate();
    const limit = setTimeout(() => this.cutOff(), closeTimeoutMs);
    upgrades.close(closeReasons.shuttingDown);
    closeWebSockets(io, closeReasons.shuttingDown);
    await new Promise<void>((resolve) => void io.close(() => resolve()));
    clearTimeout(limit);
  }

  private cutOff(): void {
    for (const socket of this.open) socket.destroy();
  }

  // One listener shared by all sockets; `this` is the socket.
  private readonly onClosed = ((closing: GatewayClose) =>
    function (this: Socket): void {
      closing.open.delete(this);
    })(this);
}
