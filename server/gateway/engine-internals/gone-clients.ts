import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';

/** The native handle of a TCP connection. That of a pipe has no peer. */
interface PeerHandle {
  /** Returns 0, or an error number where there is no peer any more: the connection was reset. */
  getpeername?(into: object): number;
  close(): void;
}

/** The native handle of a listening server. */
interface ListenHandle {
  onconnection?: (this: ListenHandle, error: number, accepted?: PeerHandle) => void;
}

/**
 * Ends each connection that was reset before it was accepted, before Node makes a socket of it. A client that connects and resets, over and over, fills
 * the queue of the kernel with them, and each costs a turn of the event loop. They have no address any more, so no limit by address counts them.
 */
export function endGoneClients(http: HttpServer, onEnd: () => void): void {
  const watch = () => {
    const { _handle: handle } = http as HttpServer & { readonly _handle?: ListenHandle | null };
    const accept = handle?.onconnection;
    if (accept === undefined) return;
    handle!.onconnection = function (error, accepted) {
      if (error !== 0 || accepted === undefined || !isGone(accepted)) {
        accept.call(this, error, accepted);
        return;
      }
      accepted.close();
      onEnd();
    };
  };
  http.on('listening', watch);
  if (http.listening) watch();
}

/** Whether the client of a connection has reset it. Nothing says so of a connection that is not read. */
export function hasGone(socket: Socket): boolean {
  const { _handle: handle } = socket as Socket & { readonly _handle?: PeerHandle | null };
  return handle !== null && handle !== undefined && isGone(handle);
}

function isGone(handle: PeerHandle): boolean {
  return handle.getpeername !== undefined && handle.getpeername({}) !== 0;
}
