import type { Server as HttpServer } from 'node:http';
import { Socket } from 'node:net';
import { hasGone } from './accepted-connections.js';
import { holdReading, startReading } from './reading.js';

/** Decides when new connections are read. */
interface Turns {
  /** A connection was accepted, and closed by another listener. */
  closed(): void;
  /** Node has attached its parser to a connection. */
  attached(socket: Socket): void;
  run(socket: Socket, begin: () => void): void;
}

/**
 * Lets each new TCP connection of an HTTP server be read when `run` calls its function. Other listeners for connections are called at once, and may
 * destroy it.
 */
export function readInTurns(http: HttpServer, turns: Turns): void {
  // Node's own, which attaches its parser: the first one, made with the server.
  const [attachParser] = http.listeners('connection');
  if (attachParser === undefined) return;
  http.off('connection', attachParser as () => void);
  const attach = (socket: Socket) => {
    attachParser.call(http, socket);
    turns.attached(socket);
  };
  http.on('connection', (socket: Socket) => {
    if (socket.destroyed) {
      turns.closed();
      return;
    }
    // What is not a TCP connection was made by the service itself: it waits for nothing.
    const isHeld = socket instanceof Socket && holdReading(socket);
    if (!isHeld) {
      attach(socket);
      return;
    }
    const onError = () => {};
    socket.on('error', onError);
    turns.run(socket, () => {
      socket.off('error', onError);
      if (socket.destroyed) return;
      // It is not read, so that nothing else has said so.
      if (hasGone(socket)) {
        socket.destroy();
        return;
      }
      startReading(socket);
      attach(socket);
    });
  });
}
