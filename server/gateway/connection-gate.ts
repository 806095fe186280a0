import type { IncomingMessage } from 'node:http';
import type { Server, Socket } from 'socket.io';
import { RefusalError, toWireError } from '../../shared/errors.js';
import type { Positions } from '../../shared/position.js';
import type { Identity } from '../protocol/identity.js';
import type { Permissions } from '../auth/permissions.js';
import { positionsField } from '../protocol/request-fields.js';
import type { Answer, CommandRouter } from '../commands/router.js';
import type { AdmittedTransport } from './handshake/handshake-admission.js';
import type { Log } from '../logging/log.js';
import type { Metrics } from '../metrics/metrics.js';
import type { Topics } from '../topics/topics.js';
import { ClientConnection, connectionOn } from './client-connection.js';
import { CommandQueue } from './command-queue.js';
import type { Connection } from '../protocol/connection.js';
import { handleFrame } from './ws/client-frames.js';
import { WsConnection } from './ws/ws-connection.js';
import { releaseLastFrame } from './engine-internals/slim-connection.js';
import type { SendBufferBudget } from '../fanout/outbox.js';
import type { EngineConnection } from '../fanout/engine-connection.js';
import { publishTaker } from './socketio/fast-publish.js';
import { ReadThrottle } from './read-throttle.js';
import type { ConnectionRegistry } from './connection-registry.js';
import { ReplyWriter } from './socketio/reply-writer.js';
import {
  commandListener,
  connectError,
  tokenOf,
  type Authenticate,
  type Handshakes,
  type LetIn,
} from './socketio/socketio-server.js';
import type { OpenedSession } from '../sessions/session-service.js';
import { SubscriptionRestore } from './restore-subscriptions.js';

/** Sessions as the gate uses them; see `sessions/session-service.ts`. */
interface Sessions {
  open(userId: string, requestedId: string | undefined, positions: Positions): Promise<OpenedSession>;
  connected(connection: Connection, createdAt: number): void;
  onHeartbeat(connection: Connection): void;
  onChanged(connection: Connection): void;
  left(connection: Connection, clean: boolean): void;
}

export interface ConnectionGateDependencies {
  readonly registry: ConnectionRegistry;
  readonly budget: SendBufferBudget;
  readonly topics: Topics;
  readonly sessions: Sessions;
  readonly direct: { add(connection: ClientConnection): void; remove(connection: Connection): void };
  readonly permissions: Permissions;
  readonly authenticate: Authenticate;
  readonly letIn: LetIn;
  /** Called with each new transport. */
  readonly onTransport: (transport: AdmittedTransport) => void;
  /** Whether a client whose token was verified may still enter: it may have waited since. @throws RefusalError */
  readonly checkEntry: (identity: Identity) => void;
  /** Called with each connection that has ended. */
  readonly onLeft: (connection: Connection, reason: string) => void;
  readonly router: () => CommandRouter;
  /** When the publishes that wait on a topic will be appended, by `performance.now`; 0: at once. */
  readonly appendAt: (topic: string) => number;
  readonly metrics: Metrics;
  readonly addressOf: (request: IncomingMessage) => string;
  /** Called with each refused connection and its request. */
  readonly onRefused: Handshakes['onRefused'];
  /** The mode that the service is in; told to clients who come while it is not `normal`. */
  readonly mode: () => string;
  readonly log: Log;
  readonly now: () => number;
}

/** What the middleware found out, for the moment of connecting. */
interface Credentials {
  readonly identity: Identity;
  readonly session: OpenedSession;
}

/** Lets clients in, on whatever transport: who they are, their session, their commands, and what happens when they leave. */
export class ConnectionGate {
  private readonly replies = new ReplyWriter();
  private readonly reads = new ReadThrottle();
  private readonly flow = new CommandQueue({
    run: (connection, command, request) => this.dependencies.router().run(connection, command, request),
  });
  private readonly takePublishes = publishTaker((connection, request, packetId) => {
    void this.run(connection, 'publish', request).then((answer) => {
      if (packetId !== '') this.replies.add(connection.outbox, `3${packetId}[${JSON.stringify(answer)}]`);
      else if (!answer.ok) connection.emit('error', answer.error);
    });
  });
  private readonly welcome: SubscriptionRestore;
  private readonly credentials = new WeakMap<Socket, Credentials>();
  /** Transports on which somebody is being identified. */
  private readonly identifying = new WeakSet<object>();
  /** What gives back the place of a connection among those of its user; empty where there is no limit. */
  private readonly places = new WeakMap<Socket, () => void>();

  constructor(
    private readonly dependencies: ConnectionGateDependencies,
    private readonly settings: { readonly maxMessageBytes: number },
  ) {
    this.welcome = new SubscriptionRestore(dependencies);
  }

  /** Begins to let Socket.IO clients in. */
  open(io: Server): void {
    const listener = commandListener((socket, name, request) => {
      const connection = this.dependencies.registry.connection(socket.id);
      if (connection === undefined)
        return { ok: false, error: new RefusalError('conflict', 'the connection has closed').toWire() };
      return this.run(connection, name, request);
    }, this.dependencies.log);
    io.use((socket, next) => {
      this.identify(socket).then(
        () => next(),
        (error: unknown) => {
          this.places.get(socket)?.();
          this.dependencies.onRefused(error, socket.request);
          next(connectError(error));
        },
      );
    });
    // Transports of both kinds.
    io.engine.on('connection', this.dependencies.onTransport);
    io.on('connection', (socket) => {
      socket.onAny(listener);
      this.enter(socket);
    });
  }

  /** Lets a `/ws` client in, by the same door. */
  accept(io: Server, connection: WsConnection): void {
    // `Server.onconnection` is engine.io's own listener of this event.
    io.engine.emit('connection', connection);
    connection.emit('data', '0');
  }

  private run(connection: ClientConnection, command: string, request: unknown): Promise<Answer> {
    const answer = this.flow.run(connection, command, request);
    if (command !== 'publish') return answer;
    const { topic } = (request ?? {}) as { topic?: unknown };
    if (typeof topic === 'string') this.reads.published(connection, this.dependencies.appendAt(topic));
    return answer;
  }

  /**
   * One transport, one connection: places and paces are counted by transport. (Socket.IO itself refuses a second one only when the first has
   * joined.)
   */
  private async identify(socket: Socket): Promise<void> {
    const { conn } = socket;
    if (this.identifying.has(conn)) throw transportTaken();
    this.checkTransport(socket);
    this.identifying.add(conn);
    try {
      await this.authorize(socket);
    } finally {
      this.identifying.delete(conn);
    }
  }

  private checkTransport(socket: Socket): void {
    const present = connectionOn(socket.conn as unknown as EngineConnection);
    if (present !== undefined && this.dependencies.registry.connection(present.id) === present)
      throw transportTaken();
  }

  private async authorize(socket: Socket): Promise<void> {
    const conn = socket.conn as unknown;
    const { auth } = socket.handshake;
    const identity =
      conn instanceof WsConnection ? conn.identity : this.dependencies.authenticate(tokenOf(socket));
    // A `/ws` client has taken its place before the upgrade.
    if (!(conn instanceof WsConnection)) await this.takePlace(socket, identity);
    const requested = conn instanceof WsConnection ? conn.resumeSession : (auth['session_id'] as unknown);
    const sessionId = typeof requested === 'string' && requested.length <= 100 ? requested : undefined;
    const positions = positionsField.safeParse(auth['positions'] ?? {});
    if (!positions.success) {
      throw new RefusalError('invalid_message', 'auth.positions must map topics to { epoch, sequence }', {
        field: 'auth.positions',
      });
    }
    const { sessions, checkEntry } = this.dependencies;
    const session = await sessions.open(identity.userId, sessionId, positions.data);
    checkEntry(identity);
    this.credentials.set(socket, { identity, session });
  }

  private async takePlace(socket: Socket, identity: Identity): Promise<void> {
    const claimed = this.dependencies.letIn(identity, socket.request, 'socketio');
    if (claimed === undefined) return;
    const release = await claimed;
    this.places.set(socket, release);
    // It may leave before it has entered, or enter again on the same transport.
    socket.conn.once('close', release);
    if (socket.conn.readyState === 'closed') release();
  }

  private enter(socket: Socket): void {
    const { registry, budget, direct, metrics, log, now, addressOf } = this.dependencies;
    const { identity, session } = this.credentials.get(socket)!;
    this.credentials.delete(socket);
    if (!this.mayEnter(socket, identity)) return;
    const conn = socket.conn as unknown;
    const connection = new ClientConnection(
      {
        socket,
        wire: conn instanceof WsConnection ? 'json' : 'socketio',
        identity,
        sessionId: session.id,
        address: addressOf(socket.request),
        connectedAt: now(),
      },
      budget,
    );
    registry.add(connection);
    metrics.connects++;
    socket.on('disconnecting', this.onLeaving);
    socket.on('disconnect', this.onLeft);
    socket.conn.on('heartbeat', this.onHeartbeat);
    log.info('Connection opened', {
      connection_id: connection.id,
      user_id: identity.userId,
      wire: connection.wire,
    });
    if (connection.wire === 'socketio') this.takePublishes(socket);
    void this.welcome.run(connection, session).finally(() => {
      if (conn instanceof WsConnection) this.receive(conn, connection);
    });
    direct.add(connection);
    // Once the connection listeners of an embedding application have seen it.
    setImmediate(() => connection.makeSlim());
  }

  /** Whatever comes between the middleware and here, that of an embedding program too, may have taken its time. */
  private mayEnter(socket: Socket, identity: Identity): boolean {
    try {
      this.checkTransport(socket);
      this.dependencies.checkEntry(identity);
      return true;
    } catch (error) {
      this.dependencies.onRefused(error, socket.request);
      socket.emit('error', toWireError(error));
      socket.disconnect(true);
      return false;
    }
  }

  // Listeners that all connections share; `this` is the emitter.

  private readonly onLeaving = ((gate: ConnectionGate) =>
    function (this: Socket, reason: string): void {
      const connection = gate.dependencies.registry.connection(this.id);
      if (connection === undefined) return;
      gate.dependencies.sessions.left(
        connection,
        reason === 'client namespace disconnect' || reason === 'client closed',
      );
      gate.dependencies.direct.remove(connection);
    })(this);

  private readonly onLeft = ((gate: ConnectionGate) =>
    function (this: Socket, reason: string): void {
      const { registry, metrics, onLeft, log } = gate.dependencies;
      const connection = registry.connection(this.id);
      if (connection === undefined) return;
      registry.delete(connection.id);
      gate.places.get(this)?.();
      connection.closed();
      gate.flow.left(connection);
      metrics.disconnects++;
      log.info('Connection closed', {
        connection_id: connection.id,
        user_id: connection.identity.userId,
        reason,
      });
      onLeft(connection, reason);
    })(this);

  private readonly onHeartbeat = ((gate: ConnectionGate) =>
    function (this: unknown): void {
      const connection = connectionOn(this as EngineConnection);
      if (connection === undefined) return;
      gate.dependencies.sessions.onHeartbeat(connection);
      releaseLastFrame(this as EngineConnection);
    })(this);

  private receive(conn: WsConnection, connection: ClientConnection): void {
    const { log } = this.dependencies;
    const target = {
      run: (command: string, request: unknown) => this.run(connection, command, request),
      acknowledge: (messageId: string) => connection.acknowledged(messageId),
      send: (frame: object) => conn.writeJson(frame),
    };
    conn.receive((content, isBinary) => {
      handleFrame(content, isBinary, target, this.settings).catch((error: unknown) => {
        log.error('Frame failed', { connection_id: connection.id, error });
        conn.writeJson({ type: 'Error', data: toWireError(error) });
      });
    });
  }
}

function transportTaken(): RefusalError {
  return new RefusalError('conflict', 'this transport has a connection already');
}
