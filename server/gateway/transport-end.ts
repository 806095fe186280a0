import type { Socket } from 'socket.io';
import { closeReadLimitMs, leftTransportMs } from './close-codes.js';
import { engineOf } from './engine-internals/engine-connection.js';
import { closeTransport, joinedNamespaces } from './engine-internals/namespaces.js';

/**
 * Closes transports that have no use any more: those whose client has left every namespace, and those that are to close and whose client does
 * not read what was written before the end. Socket.IO keeps both, the first for ever and the second until its heartbeat fails.
 */
export class TransportEnd {
  /** Of transports that will be checked. */
  private readonly timers = new WeakMap<object, NodeJS.Timeout>();

  /** To be called with each socket that has left its namespace. */
  readonly left = (socket: Socket): void => {
    const engine = engineOf(socket);
    if (engine.readyState === 'closed') return;
    // The client may join and leave several times: the time begins anew.
    clearTimeout(this.timers.get(engine));
    this.timers.set(engine, setTimeout(() => this.check(socket), leftTransportMs).unref());
  };

  private check(socket: Socket): void {
    const engine = engineOf(socket);
    if (engine.readyState === 'closed') return;
    if (engine.readyState === 'open') {
      // Meanwhile the client has joined again, or is in another namespace.
      if (joinedNamespaces(socket) > 0) return;
      closeTransport(socket);
    }
    setTimeout(() => engine.close(true), closeReadLimitMs).unref();
  }
}
