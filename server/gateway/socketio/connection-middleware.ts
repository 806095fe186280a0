import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Server, Socket } from 'socket.io';
import { toWireError } from '../../../shared/errors.js';
import { transportTaken } from '../client-connection.js';
import { ConnectionAttempt } from '../connection-attempt.js';
import type { ConnectionLifecycle } from '../connection-lifecycle.js';
import type { ConnectionPipeline } from '../connection-pipeline.js';
import { tokenOfSocket } from '../handshake/token.js';
import { WsConnection } from '../ws/ws-connection.js';

interface ConnectionMiddlewareDependencies {
  readonly pipeline: ConnectionPipeline;
  readonly lifecycle: ConnectionLifecycle;
  readonly addressOf: (request: IncomingMessage) => string;
  readonly onRefused: (error: unknown, request: IncomingMessage) => void;
}

/**
 * Authorizes the sockets of the main namespace, on transports of both wires, and connects them. A `/ws`
 * client was already authorized before its upgrade.
 */
export class ConnectionMiddleware {
  private readonly attempts = new WeakMap<Socket, ConnectionAttempt>();
  /** Transports on which a client is being authorized. */
  private readonly authorizing = new WeakSet<object>();
  /**
   * By transport, the attempt that was authorized and is not connected yet. Middleware of an embedding program may have refused it, which Socket.IO
   * does not report: what it holds is released when the client tries again, or when the transport closes.
   */
  private readonly pending = new WeakMap<object, ConnectionAttempt>();

  constructor(private readonly dependencies: ConnectionMiddlewareDependencies) {}

  install(io: Server): void {
    io.use((socket, next) => {
      this.authorize(socket).then(
        () => next(),
        (error: unknown) => next(connectError(error)),
      );
    });
    io.on('connection', (socket) => {
      const attempt = this.attempts.get(socket)!;
      this.attempts.delete(socket);
      this.pending.delete(socket.conn);
      this.dependencies.lifecycle.connect(socket, attempt);
    });
  }

  private async authorize(socket: Socket): Promise<void> {
    this.requireFreeTransport(socket);
    const { conn } = socket;
    const transport = conn as unknown;
    if (transport instanceof WsConnection) {
      this.attempts.set(socket, transport.takeAttempt());
      return;
    }
    this.pending.get(conn)?.supersede();
    this.authorizing.add(conn);
    try {
      const attempt = this.attemptOf(socket);
      await this.dependencies.pipeline.authorize(attempt);
      if (conn.readyState === 'closed') attempt.release();
      this.attempts.set(socket, attempt);
      this.pending.set(conn, attempt);
    } finally {
      this.authorizing.delete(conn);
    }
  }

  private attemptOf(socket: Socket): ConnectionAttempt {
    const { auth } = socket.handshake;
    return new ConnectionAttempt(
      'socketio',
      socket.request,
      this.dependencies.addressOf(socket.request),
      {
        token: () => tokenOfSocket(socket),
        sessionId: auth['session_id'],
        positions: auth['positions'],
      },
      socket.conn as unknown as EventEmitter,
    );
  }

  /**
   * Allows one connection per transport, because limits count connections by transport and send buffers
   * belong to a transport. (Socket.IO itself refuses a second join only once the first is complete.)
   *
   * @throws RefusalError `conflict`
   */
  private requireFreeTransport(socket: Socket): void {
    if (!this.authorizing.has(socket.conn) && !this.dependencies.lifecycle.isTaken(socket)) return;
    const error = transportTaken();
    this.dependencies.onRefused(error, socket.request);
    throw error;
  }
}

/** An error that Socket.IO sends as `connect_error`, with the error object of the wire as `data`. */
function connectError(error: unknown): Error & { data: unknown } {
  const wire = toWireError(error);
  return Object.assign(new Error(wire.message), { data: wire });
}
