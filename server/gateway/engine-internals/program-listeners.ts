import type { Socket } from 'socket.io';
import type { EngineConnection } from './engine-connection.js';

/** Whether a program listens to an event of a socket. Socket.IO itself listens to `error`, and does nothing then. */
export function isHandledByProgram(socket: Socket, event: string): boolean {
  return socket.listenerCount(event) > (event === 'error' ? 1 : 0);
}

/** Whether a program, or Socket.IO's Admin UI, which counts bytes, listens to the packets of a connection. This service has one listener, to `data`. */
export function arePacketsHandledByProgram(engine: EngineConnection): boolean {
  return (
    engine.listenerCount('packet') > 0 ||
    engine.listenerCount('message') > 0 ||
    engine.listenerCount('data') > 1
  );
}
