import type { Socket } from 'socket.io';

/** Whether a program listens to an event of a socket. Socket.IO itself listens to `error`, and does nothing then. */
export function isHandledByProgram(socket: Socket, event: string): boolean {
  return socket.listenerCount(event) > (event === 'error' ? 1 : 0);
}
