import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Server, Socket } from 'socket.io';
import type { Identity } from '../../protocol/identity.js';
import { connectionOn, transportTaken } from '../client-connection.js';
import { ConnectionAttempt } from '../connection-attempt.js';
import type { ConnectionLifecycle } from '../connection-lifecycle.js';
import type { ConnectionPipeline } from '../connection-pipeline.js';
import { engineOf } from '../engine-internals/engine-connection.js';
import { connectError } from '../handshake/connect-error.js';
import { tokenOfSocket } from '../handshake/token.js';
import { setSocketUser } from '../socket-user.js';
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
  private readonly authorizing = new WeakMap<object, Promise<void>>();
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

  /**
   * The identity of the client that has joined, or is joining, on the transport of a socket of another
   * namespace; undefined if there is none.
   */
  readonly identityOn = async (socket: Pick<Socket, 'conn'>): Promise<Identity | undefined> => {
    await this.authorizing.get(socket.conn)?.catch(() => {});
    return connectionOn(engineOf(socket))?.identity ?? this.pending.get(socket.conn)?.identity;
  };

  private async authorize(socket: Socket): Promise<void> {
    this.requireFreeTransport(socket);
    const { conn } = socket;
    const transport = conn as unknown;
    if (transport instanceof WsConnection) {
      const attempt = transport.takeAttempt();
      this.attempts.set(socket, attempt);
      setSocketUser(socket, attempt.identity!);
      return;
    }
    this.pending.get(conn)?.supersede();
    const attempt = this.attemptOf(socket);
    const authorized = this.dependencies.pipeline.authorize(attempt);
    this.authorizing.set(conn, authorized);
    try {
      await authorized;
      if (conn.readyState === 'closed') attempt.release();
      this.attempts.set(socket, attempt);
      this.pending.set(conn, attempt);
      setSocketUser(socket, attempt.identity!);
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
