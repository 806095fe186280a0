import type { Socket } from 'node:net';

/**
 * Closes a TCP connection with a reset where that is possible. A socket that has ended its side cannot be reset: libuv
 * refuses it, Node takes it for closed all the same, and waits for it in vain when the process ends.
 */
export function resetSocket(socket: Socket): void {
  if (socket.writableEnded || socket.destroyed) socket.destroy();
  else socket.resetAndDestroy();
}
