import type { IncomingMessage } from 'node:http';
import type { Socket } from 'socket.io';
import type { Position } from '../../shared/position.js';
import { RefusalError, toWireError, type ErrorCode } from '../../shared/errors.js';
import type { SendBufferBudget } from '../fanout/outbox.js';
import type { RequestSizes } from '../commands/request-sizes.js';
import type { CommandRouter } from '../commands/router.js';
import type { Log } from '../logging/log.js';
import type { Connection } from '../protocol/connection.js';
import { ClientConnection, connectionOn, transportTaken } from './client-connection.js';
import { closeReasons } from './close-codes.js';
import type { CommandQueue } from './command-queue.js';
import type { ConnectionAttempt } from './connection-attempt.js';
import type { ConnectionRegistry } from './connection-registry.js';
import { engineOf, type EngineConnection } from './engine-internals/engine-connection.js';
import { isClosedAsTooLarge } from './engine-internals/web-socket-server.js';
import type { SubscriptionRestore } from './restore-subscriptions.js';
import type { FastPublish } from './socketio/fast-publish.js';
import type { CommandListener } from './socketio/command-listener.js';
import { FrameReceiver } from './ws/frame-receiver.js';
import { WsConnection } from './ws/ws-connection.js';

interface ConnectionLifecycleDependencies {
  readonly registry: ConnectionRegistry;
  readonly budget: SendBufferBudget;
  readonly sessions: { onHeartbeat(connection: Connection): void; left(connection: Connection): void };
  readonly direct: {
    add(connection: ClientConnection, known: Position | undefined): Promise<void>;
    remove(connection: Connection): void;
  };
  readonly restore: SubscriptionRestore;
  readonly commands: CommandQueue;
  readonly router: CommandRouter;
  readonly sizes: RequestSizes;
  readonly commandListener: CommandListener;
  readonly fastPublish: FastPublish;
  /** @throws RefusalError if the client is no longer allowed to connect */
  readonly revalidate: (attempt: ConnectionAttempt) => void;
  /** Called with the socket of each client that has joined. */
  readonly onJoined: (socket: Socket) => void;
  /** Called with each socket that has left, whether or not its transport is open. */
  readonly onSocketLeft: (socket: Socket) => void;
  readonly onConnected: () => void;
  /** Called when a client was disconnected. */
  readonly onDismissed: () => void;
  readonly onDisconnected: (connection: Connection, reason: string) => void;
  readonly onRefused: (error: unknown, request: IncomingMessage) => void;
  /** Called with what a connection was closed for sending. */
  readonly countRefused: (code: ErrorCode) => void;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

interface ConnectionLifecycleSettings {
  readonly maxMessageBytes: number;
  /** Largest frame; a larger one closes the connection. */
  readonly transportLimitBytes: number;
  /** Whether idle connections free what they do not need; see `websocket.slim_connections`. */
  readonly slimConnections: boolean;
}

/** Reasons of Socket.IO that mean that the client has not left by itself. */
const dismissals: ReadonlySet<string> = new Set([
  'server namespace disconnect',
  'forced close',
  'forced server close',
]);

/** The life of a connection after all checks have passed: attach, restore, detach. */
export class ConnectionLifecycle {
  /** Connections that were made slim. */
  slimConnections = 0;
  private readonly frames: FrameReceiver;

  constructor(
    private readonly dependencies: ConnectionLifecycleDependencies,
    private readonly settings: ConnectionLifecycleSettings,
  ) {
    const { commands, router, sizes, log } = dependencies;
    this.frames = new FrameReceiver({ commands, router, sizes, log }, settings);
  }

  /** Whether another client has joined on the transport of a socket. */
  isTaken(socket: Socket): boolean {
    const present = connectionOn(engineOf(socket));
    return present !== undefined && this.dependencies.registry.connection(present.id) === present;
  }

  /** Connects an authorized client, unless it is no longer allowed to connect. */
  connect(socket: Socket, attempt: ConnectionAttempt): void {
    try {
      this.dependencies.revalidate(attempt);
      if (attempt.isSuperseded || this.isTaken(socket)) throw transportTaken();
      this.restore(this.attach(socket, attempt), attempt);
    } catch (error) {
      // A bug must not reach Socket.IO: there it would end the program.
      if (!(error instanceof RefusalError))
        this.dependencies.log.error('Connection failed', { connection_id: socket.id, error });
      attempt.release();
      this.dependencies.onRefused(error, attempt.request);
      socket.emit('error', toWireError(error));
      socket.disconnect(true);
    }
  }

  private attach(socket: Socket, attempt: ConnectionAttempt): ClientConnection {
    const { registry, budget, fastPublish, onConnected, log, now } = this.dependencies;
    const { wire, address, identity, session, release } = attempt;
    const made = { socket, wire, address, identity: identity!, sessionId: session!.id, connectedAt: now() };
    const connection = new ClientConnection(
      { ...made, release: attempt.holds ? release : undefined },
      budget,
    );
    registry.add(connection);
    onConnected();
    this.dependencies.onJoined(socket);
    this.dependencies.commandListener.attach(socket);
    socket.on('disconnecting', this.onLeaving);
    socket.on('disconnect', this.onLeft);
    socket.conn.on('heartbeat', this.onHeartbeat);
    if (wire === 'socketio') fastPublish.attach(connection);
    log.info('Connection opened', { connection_id: connection.id, user_id: identity!.userId, wire });
    // After the `connection` listeners of an embedding application have run.
    if (this.settings.slimConnections) setImmediate(() => this.makeSlim(connection));
    return connection;
  }

  /**
   * Restores the session of a new connection, then sends its `status`. Commands of a `/ws` client wait until
   * then.
   */
  private restore(connection: ClientConnection, attempt: ConnectionAttempt): void {
    const session = attempt.session!;
    const inbox = this.dependencies.direct.add(connection, session.inbox);
    attempt.releaseInbox();
    void this.dependencies.restore.run(connection, session, inbox).finally(() => {
      const transport = connection.socket.conn as unknown;
      if (transport instanceof WsConnection) this.frames.receive(transport, connection);
    });
  }

  private makeSlim(connection: ClientConnection): void {
    if (connection.makeSlim()) this.slimConnections++;
  }

  private noteTooLarge({ id, identity, wire }: ClientConnection): void {
    const { countRefused, log } = this.dependencies;
    countRefused('message_too_large');
    const fields = { connection_id: id, user_id: identity.userId, wire };
    log.warn('Frame too large', { ...fields, limit: this.settings.transportLimitBytes });
  }

  // Listeners that all connections share; `this` is the emitter.

  private readonly onLeaving = ((lifecycle: ConnectionLifecycle) =>
    function (this: Socket): void {
      const { registry, sessions, direct } = lifecycle.dependencies;
      const connection = registry.connection(this.id);
      if (connection === undefined) return;
      sessions.left(connection);
      direct.remove(connection);
    })(this);

  private readonly onLeft = ((lifecycle: ConnectionLifecycle) =>
    function (this: Socket, reason: string): void {
      const { registry, fastPublish, commands, onDismissed, onDisconnected, log } = lifecycle.dependencies;
      const connection = registry.connection(this.id);
      if (connection === undefined) return;
      registry.delete(connection);
      this.conn.off('heartbeat', lifecycle.onHeartbeat);
      if (connection.wire === 'socketio') fastPublish.detach(connection);
      const isDismissed = dismissals.has(reason);
      connection.closed(isDismissed);
      if (isDismissed) onDismissed();
      commands.left(connection);
      closeTransport(this, reason);
      lifecycle.dependencies.onSocketLeft(this);
      const { id, identity } = connection;
      if (isClosedAsTooLarge(engineOf(this))) lifecycle.noteTooLarge(connection);
      log.info('Connection closed', { connection_id: id, user_id: identity.userId, reason });
      onDisconnected(connection, reason);
    })(this);

  private readonly onHeartbeat = ((lifecycle: ConnectionLifecycle) =>
    function (this: unknown): void {
      const connection = connectionOn(this as EngineConnection);
      if (connection !== undefined) lifecycle.dependencies.sessions.onHeartbeat(connection);
    })(this);
}

/** A `/ws` client is only in the main namespace. Once it has left that, its transport has no use. */
function closeTransport({ conn }: Socket, reason: string): void {
  const transport = conn as unknown;
  if (!(transport instanceof WsConnection)) return;
  transport.end(reason === 'server shutting down' ? closeReasons.shuttingDown : closeReasons.disconnected);
}
