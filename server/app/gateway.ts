import type { IncomingMessage, Server as HttpServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import type { Server as SocketIoServer } from 'socket.io';
import { SendBufferBudget } from '../fanout/outbox.js';
import { CommandQueue } from '../gateway/command-queue.js';
import { ConnectionLifecycle } from '../gateway/connection-lifecycle.js';
import { ConnectionPipeline } from '../gateway/connection-pipeline.js';
import { joinWith, limitClosing } from '../gateway/engine-internals/engine-server.js';
import { GatewayClose } from '../gateway/gateway-close.js';
import { HandshakeAdmission } from '../gateway/handshake/handshake-admission.js';
import { originCheck } from '../gateway/handshake/origin.js';
import { RefusalLog } from '../gateway/handshake/refusal-log.js';
import { closeUnservedUpgrades } from '../gateway/handshake/unserved-upgrades.js';
import { guardUpgrades } from '../gateway/handshake/upgrade-guard.js';
import { engineIoPath } from '../gateway/paths.js';
import { SubscriptionRestore } from '../gateway/restore-subscriptions.js';
import { CommandListener } from '../gateway/socketio/command-listener.js';
import { ConnectionMiddleware } from '../gateway/socketio/connection-middleware.js';
import { FastPublish } from '../gateway/socketio/fast-publish.js';
import type { NewAdmission } from '../gateway/engine-internals/web-socket-server.js';
import type { InboundControl } from '../gateway/inbound/inbound-control.js';
import { applyBudgets } from '../gateway/inbound/inbound-of.js';
import { createSocketIo, listenTo } from '../gateway/socketio/socketio-server.js';
import { WsUpgrade, wsUrlOf } from '../gateway/ws/upgrade.js';
import { systemClock } from '../primitives/clock.js';
import type { Settings } from '../config/schema.js';
import type { Foundation } from './foundation.js';
import type { Messaging } from './messaging.js';

interface GatewayParts extends Foundation, Messaging {
  readonly http: HttpServer;
  readonly io: SocketIoServer;
  readonly slimConnections: boolean;
  readonly inbound: InboundControl;
}

/** The gateway of both wires. */
export interface Gateway {
  readonly budget: SendBufferBudget;
  readonly fastPublish: FastPublish;
  readonly lifecycle: ConnectionLifecycle;
  readonly inbound: InboundControl;
  /** Admits no client from now on. Connected clients stay connected. */
  stop(): void;
  /** Closes every connection and the HTTP server. Sockets still open after a short time are destroyed. */
  close(): Promise<void>;
}

/**
 * Makes the Socket.IO server. With Redis, events of embedding programs and of the Admin UI reach the clients
 * of all replicas.
 */
export function assembleSocketIo(
  { settings, storage: { adapter } }: Foundation,
  { newBudget }: InboundControl,
): SocketIoServer {
  const io = createSocketIo(
    {
      ...transportSettings(settings),
      connectTimeoutMs: settings.websocket.connectTimeoutSecs * 1000,
    },
    (reader) => newBudget(reader, 'socketio'),
  );
  if (adapter !== undefined) {
    const key = `${settings.redis.keyPrefix}:io`;
    const options = { key, publishOnSpecificResponseChannel: true };
    io.adapter(createAdapter(adapter.publisher, adapter.subscriber, options));
  }
  return io;
}

/** Assembles the gateway and starts to serve clients. */
export function assembleGateway(parts: GatewayParts): Gateway {
  const { settings, http, io, tokens, control, limits, metrics, supervision, addresses, logOf } = parts;
  const { registry, topics, sessions, direct, permissions, router, inbound } = parts;
  const { websocket } = settings;
  const { hooks } = supervision;
  const addressOf = addresses.of;
  const log = logOf('connection');
  const admission = new HandshakeAdmission(
    { addresses: limits.addresses, addressOf },
    { maxConnections: websocket.maxConnections, handshakesPerSec: websocket.handshakesPerSec },
  );
  const refusals = new RefusalLog({
    log,
    count: (code) => metrics.countRefused(code),
    addressOf,
    now: () => performance.now(),
  });
  const pipeline = new ConnectionPipeline({
    checkOrigin: originCheck(websocket.allowedOrigins),
    checkConnectionsEnabled: () => control.state.checkConnect(),
    admit: (request) => admission.admitInTurn(request),
    authenticate: tokens.authenticate,
    onConnect: (event) => hooks.connecting(event),
    acquireUserSlot: (userId) => limits.userConnections.acquireSlot(userId),
    openSession: (userId, sessionId, positions) => sessions.open(userId, sessionId, positions),
    checkRevoked: (identity) => tokens.checkRevoked(identity),
    onRefused: refusals.note,
  });
  const commands = new CommandQueue({
    run: (connection, name, request) => router.run(connection, name, request),
    isExpensive: (name) => router.isExpensive(name),
    isConnected: (connection) => registry.connection(connection.id) === connection,
    clock: systemClock,
  });
  const budget = new SendBufferBudget({ clock: systemClock }, settings.outbox);
  const commandListener = new CommandListener({
    run: (socket, name, request) => commands.run(registry.connection(socket.id), name, request),
    log,
  });
  const fastPublish = new FastPublish({ run: commands.run, commandListener });
  const mode = () => control.state.mode;
  const lifecycle = new ConnectionLifecycle(
    {
      registry,
      budget,
      sessions,
      direct,
      restore: new SubscriptionRestore({ registry, topics, sessions, permissions, mode, log }),
      commands,
      router,
      commandListener,
      fastPublish,
      revalidate: (attempt) => pipeline.revalidate(attempt),
      onConnected: () => metrics.connects++,
      onDisconnected: ({ id: connectionId, identity: { userId } }, reason) => {
        metrics.disconnects++;
        hooks.disconnected({ connectionId, userId, reason });
      },
      onRefused: refusals.note,
      countRefused: (code) => metrics.countRefused(code),
      log,
      now: Date.now,
    },
    {
      maxMessageBytes: websocket.maxMessageBytes,
      transportLimitBytes: websocket.transportLimitBytes,
      slimConnections: parts.slimConnections,
    },
  );
  listenTo(http, io, (request) => pipeline.admit(request));
  applyBudgets(io, inbound);
  guardUpgrades(http, io.engine);
  closeUnservedUpgrades({ http, isServed }, { limitMs: 20_000 });
  io.engine.on('connection', admission.transportOpened);
  io.engine.on('connection', limitClosing);
  io.engine.on('connection_error', ({ req }: { req: IncomingMessage }) => admission.failed(req));
  new ConnectionMiddleware({ pipeline, lifecycle, addressOf, onRefused: refusals.note }).install(io);
  const onConnection = (connection: Parameters<typeof joinWith>[1]) => joinWith(io, connection);
  const newAdmission: NewAdmission = (reader) => inbound.newBudget(reader, 'json');
  const upgrades = new WsUpgrade(
    http,
    { pipeline, addressOf, newAdmission, onConnection },
    transportSettings(settings),
  );
  const closing = new GatewayClose({ http, io, upgrades });
  return {
    budget,
    fastPublish,
    lifecycle,
    inbound,
    stop: () => {
      admission.stop();
      upgrades.stop();
    },
    close: () => closing.close(),
  };
}

/** Whether an upgrade is answered by one of the two wires. */
function isServed(request: IncomingMessage): boolean {
  return request.url?.startsWith(engineIoPath) === true || wsUrlOf(request) !== undefined;
}

function transportSettings({ websocket }: Settings) {
  return {
    heartbeatIntervalMs: websocket.heartbeatIntervalSecs * 1000,
    clientTimeoutMs: websocket.clientTimeoutSecs * 1000,
    transportLimitBytes: websocket.transportLimitBytes,
    allowedOrigins: websocket.allowedOrigins,
  };
}
