import type { Server as HttpServer } from 'node:http';
import { Socket } from 'node:net';
import { holdReading, startReading } from './reading.js';

/**
 * Lets each new TCP connection of an HTTP server be read when `run` calls its function. Other listeners for connections are called at once, and may
 * destroy it.
 */
export function readInTurns(http: HttpServer, run: (socket: Socket, begin: () => void) => void): void {
  // Node's own, which attaches its parser: the first one, made with the server.
  const [attach] = http.listeners('connection');
  if (attach === undefined) return;
  http.off('connection', attach as () => void);
  http.on('connection', (socket: Socket) => {
    if (socket.destroyed) return;
    // What is not a TCP connection was made by the service itself: it waits for nothing.
    const isHeld = socket instanceof Socket && holdReading(socket);
    if (!isHeld) {
      attach.call(http, socket);
      return;
    }
    const onError = () => {};
    socket.on('error', onError);
    run(socket, () => {
      socket.off('error', onError);
      if (socket.destroyed) return;
      startReading(socket);
      attach.call(http, socket);
    });
  });
}
