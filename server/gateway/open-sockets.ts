import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';

/** The TCP sockets of an HTTP server, upgraded ones too: Node itself loses sight of a socket that was upgraded. */
export class OpenSockets {
  private readonly sockets = new Set<Socket>();

  constructor(http: HttpServer) {
    http.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.on('close', this.onClosed);
    });
  }

  /** Ends all of them at once. */
  destroy(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  // A listener that all sockets share; `this` is the socket.
  private readonly onClosed = ((open: OpenSockets) =>
    function (this: Socket): void {
      open.sockets.delete(this);
    })(this);
}
