import type { Socket } from 'socket.io';

/** Socket.IO's client object: the sockets of one transport, one for each namespace that it has joined. */
interface SocketClient {
  readonly sockets?: { readonly size: number };
}

/** Closes the transport of a socket that was disconnected, if no other namespace uses it. */
export function closeIfUnused({ client, conn }: Socket): void {
  const { sockets } = client as unknown as SocketClient;
  if (sockets?.size === 0) conn.close();
}

/** Whether a program listens to an event of a socket. Socket.IO itself listens to `error`, and does nothing then. */
export function isHandledByProgram(socket: Socket, event: string): boolean {
  return socket.listenerCount(event) > (event === 'error' ? 1 : 0);
}
