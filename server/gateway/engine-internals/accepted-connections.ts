import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';

/** The native handle of a TCP connection. That of a pipe has no peer. */
interface PeerHandle {
  /** Returns 0, or an error number where there is no peer any more: the connection was reset. */
  getpeername?(into: { address?: string }): number;
  close(): void;
}

/** The native handle of a listening server. */
interface ListenHandle {
  onconnection?: (this: ListenHandle, error: number, accepted?: PeerHandle) => void;
}

/** Decides which connections Node makes a socket of. */
interface AcceptJudge {
  /** Calls `pass` unless the connection is to be closed; then it returns false. */
  admit(peer: string, pass: () => void): boolean;
  /** A connection was closed without a socket. */
  closed(): void;
}

/**
 * Closes connections before Node makes a socket of them: those that the judge refuses, and those that were reset before they were accepted. A client that
 * connects and resets, over and over, fills the queue of the kernel with them, and each costs a turn of the event loop. They have no address
 * any more, so no limit by address counts them.
 */
export function judgeAccepted(http: HttpServer, judge: AcceptJudge): void {
  const watch = () => {
    const { _handle: handle } = http as HttpServer & { readonly _handle?: ListenHandle | null };
    const accept = handle?.onconnection;
    if (accept === undefined) return;
    const judged: typeof accept = function (error, accepted) {
      const pass = () => accept.call(this, error, accepted);
      if (error !== 0 || accepted?.getpeername === undefined) {
        pass();
        return;
      }
      const peer = peerOf(accepted);
      if (peer !== undefined && judge.admit(peer, pass)) return;
      accepted.close();
      judge.closed();
    };
    handle!.onconnection = judged;
  };
  http.on('listening', watch);
  if (http.listening) watch();
}

/** Whether the client of a connection has reset it. Nothing says so of a connection that is not read. */
export function hasGone(socket: Socket): boolean {
  const { _handle: handle } = socket as Socket & { readonly _handle?: PeerHandle | null };
  return handle?.getpeername !== undefined && peerOf(handle) === undefined;
}

function peerOf(handle: PeerHandle): string | undefined {
  const peer: { address?: string } = {};
  return handle.getpeername?.(peer) === 0 ? (peer.address ?? '') : undefined;
}
