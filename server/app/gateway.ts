import type { IncomingMessage, Server as HttpServer } from 'node:http';
import { createAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import { databaseMark } from '../storage/redis/database.js';
import type { Server as SocketIoServer } from 'socket.io';
import { SendBufferBudget } from '../fanout/outbox.js';
import { BoundedAnswers } from '../gateway/bounded-answers.js';
import { CommandQueue } from '../gateway/command-queue.js';
import { ConnectionLifecycle } from '../gateway/connection-lifecycle.js';
import { ConnectionPipeline } from '../gateway/connection-pipeline.js';
import { joinWith, limitClosing } from '../gateway/engine-internals/engine-server.js';
import { countBodies } from '../gateway/engine-internals/polling-bodies.js';
import { connectionOn } from '../gateway/client-connection.js';
import type { EngineConnection } from '../gateway/engine-internals/engine-connection.js';
import { refuseRequest } from '../gateway/handshake/handshake-refusal.js';
import type { ReplicaDrain } from '../gateway/drain/replica-drain.js';
import { GatewayClose } from '../gateway/gateway-close.js';
import { AddressPolicy } from '../gateway/handshake/address-policy.js';
import { HandshakeAdmission } from '../gateway/handshake/handshake-admission.js';
import { HandshakeQueue } from '../gateway/handshake/handshake-queue.js';
import { HandshakesOverShare } from '../gateway/handshake/handshakes-over-share.js';
import { hideToken } from '../gateway/engine-internals/hidden-token.js';
import { SuspensionWatch } from '../gateway/suspension-watch.js';
import { TransportEnd } from '../gateway/transport-end.js';
import { UnjoinedClients } from '../gateway/handshake/unjoined-clients.js';
import { TcpConnections } from '../gateway/handshake/tcp-connections.js';
import { TurnsOverShare } from '../gateway/handshake/turns-over-share.js';
import { originCheck } from '../gateway/handshake/origin.js';
import { RefusalLog } from '../gateway/handshake/refusal-log.js';
import { addressCaller } from '../limits/address-limiter.js';
import { newPollingCounts, type PollingCounts } from '../gateway/polling/polling-counts.js';
import { answerUnservedUpgrades } from '../gateway/handshake/unserved-upgrades.js';
import { guardUpgrades } from '../gateway/handshake/upgrade-guard.js';
import { engineIoPath, uiNamespace } from '../gateway/paths.js';
import { NamespaceGuard } from '../gateway/namespaces/namespace-guard.js';
import { CommandListener } from '../gateway/socketio/command-listener.js';
import { ConnectionMiddleware } from '../gateway/socketio/connection-middleware.js';
import { FastPublish } from '../gateway/socketio/fast-publish.js';
import type { NewAdmission } from '../gateway/engine-internals/web-socket-server.js';
import type { InboundControl } from '../gateway/inbound/inbound-control.js';
import { applyBudgets, inboundOf } from '../gateway/inbound/inbound-of.js';
import type { SocketIoOptions } from '../gateway/socketio/socketio-options.js';
import { createSocketIo, listenTo } from '../gateway/socketio/socketio-server.js';
import { UserSlots } from '../gateway/user-slots.js';
import { WsUpgrade, wsUrlOf } from '../gateway/ws/upgrade.js';
import { systemClock } from '../primitives/clock.js';
import type { Settings } from '../config/schema.js';
import { assembleDrain } from './drain.js';
import { hasSocketIoUi } from './socket-io-ui.js';
import type { Foundation } from './foundation.js';
import type { Messaging } from './messaging.js';
import { refuseOtherMethods } from '../gateway/polling/polling-methods.js';
import { assemblePolling } from './polling.js';
import type { ServiceOptions } from './service-options.js';

interface GatewayParts extends Foundation, Messaging {
  readonly http: HttpServer;
  readonly io: SocketIoServer;
  readonly inbound: InboundControl;
  readonly options: Pick<ServiceOptions, 'slimConnections' | 'publicNamespaces' | 'socketIoUi'>;
}

/** The gateway of both wires. */
export interface Gateway {
  readonly budget: SendBufferBudget;
  readonly fastPublish: FastPublish;
  readonly lifecycle: ConnectionLifecycle;
  readonly namespaces: NamespaceGuard;
  readonly inbound: InboundControl;
  readonly tcp: TcpConnections;
  /** Moves the clients to other replicas. */
  readonly drain: ReplicaDrain;
  /** What happened to requests of long-polling whose transport another replica holds. */
  readonly polling: () => PollingCounts;
  /** Admits no client from now on. Connected clients stay connected. */
  stop(): void;
  /** Resolves when no command is running or waiting any more; publishers no longer wait for confirmations. */
  settle(limitMs: number): Promise<void>;
  /** Closes every connection and the HTTP server. Sockets still open after a short time are destroyed. */
  close(limitMs?: number): Promise<void>;
}

/**
 * Makes the Socket.IO server. With Redis, events of embedding programs and of the Admin UI reach the clients
 * of all replicas.
 */
export function assembleSocketIo(
  { settings, storage: { adapter } }: Foundation,
  { newBudget }: InboundControl,
  options: SocketIoOptions = {},
): SocketIoServer {
  const io = createSocketIo(
    {
      ...transportSettings(settings),
      connectTimeoutMs: settings.websocket.connectTimeoutSecs * 1000,
      options,
    },
    (reader) => newBudget(reader, 'socketio'),
  );
  if (adapter !== undefined) {
    const key = `${settings.redis.keyPrefix}${databaseMark(settings.redis.url)}:io`;
    const { publisher, subscriber, isSharded } = adapter;
    io.adapter(
      isSharded
        ? createShardedAdapter(publisher, subscriber, { channelPrefix: key, subscriptionMode: 'static' })
        : createAdapter(publisher, subscriber, { key, publishOnSpecificResponseChannel: true }),
    );
  }
  return io;
}

function isSlim(
  setting: Settings['websocket']['slimConnections'],
  { slimConnections = false }: Pick<ServiceOptions, 'slimConnections'>,
): boolean {
  return setting === 'auto' ? slimConnections : setting === 'on';
}

/** Assembles the gateway and starts to serve clients. */
export function assembleGateway(parts: GatewayParts): Gateway {
  const { settings, http, io, tokens, control, limits, metrics, supervision, addresses, logOf } = parts;
  const { registry, sessions, direct, router, sizes, inbound, options } = parts;
  const { websocket } = settings;
  const upgradesBefore = http.listeners('upgrade');
  const { hooks } = supervision;
  const addressOf = addresses.of;
  const log = logOf('connection');
  const policy = new AddressPolicy(
    { addresses, log },
    {
      exemptsLoopback: settings.server.environment === 'development',
      exemptsForwarders: settings.limits.untrustedForwarders === 'exempt',
    },
  );
  const tcp = new TcpConnections(
    { http, policy, counts: limits.counts, log, now: () => performance.now() },
    // A client of long-polling has two TCP connections.
    {
      limitPerAddress: 2 * websocket.maxConnectionsPerAddress,
      ratePerSec: 2 * settings.limits.addressConnectsPerSec,
    },
  );
  const admission = new HandshakeAdmission(
    {
      addresses: limits.addresses,
      addressOf,
      limitedAddressOf: policy.of,
      queue: handshakeQueue(websocket.handshakesPerSec),
      unjoined: new UnjoinedClients({ now: () => performance.now() }, { limit: websocket.maxUnjoined }),
      overShare: new HandshakesOverShare({
        now: () => performance.now(),
        isOver: (address) => limits.bodies.isOver(addressCaller(address)),
      }),
    },
    { maxConnections: websocket.maxConnections },
  );
  const refusals = new RefusalLog({
    log,
    count: (code) => metrics.countRefused(code),
    addressOf,
    now: () => performance.now(),
  });
  const userSlots = new UserSlots((userId) => limits.userConnections.acquireSlot(userId));
  const onAuthenticated = (transport: object) => inboundOf(transport as EngineConnection)?.authenticated();
  const pipeline = new ConnectionPipeline(
    {
      checkOrigin: originCheck(websocket.allowedOrigins),
      checkConnectionsEnabled: () => control.state.checkConnect(),
      admit: (request, isKnown) => admission.admit(request, isKnown),
      authenticate: tokens.authenticate,
      onAuthenticated,
      awaitShare: new TurnsOverShare({
        clock: systemClock,
        isOver: (userId) => limits.bodies.isOver(`user:${userId}`),
      }).wait,
      onConnect: (event) => hooks.connecting(event),
      acquireUserSlot: userSlots.acquire,
      expectInInbox: (userId) => direct.expect(userId),
      openSession: (userId, sessionId, positions) => sessions.open(userId, sessionId, positions),
      checkRevoked: (identity) => tokens.checkRevoked(identity),
      onRefused: refusals.note,
    },
    { maxPositions: Math.max(1000, 2 * websocket.maxTopicsPerConnection) },
  );
  const isExpensive = (name: string) => router.isExpensive(name);
  const answers = new BoundedAnswers(
    {
      run: (connection, name, request, within) => router.run(connection, name, request, within),
      isExpensive,
      budget: limits.answers,
      clock: systemClock,
    },
    { answerBytes: settings.topics.maxHistoryAnswerBytes },
  );
  const commands = new CommandQueue({
    run: answers.run,
    isExpensive,
    isConnected: (connection) => registry.connection(connection.id) === connection,
    clock: systemClock,
  });
  const budget = new SendBufferBudget({ clock: systemClock }, settings.outbox);
  const commandListener = new CommandListener({
    run: (socket, name, request) => commands.run(registry.connection(socket.id), name, request),
    log,
  });
  const fastPublish = new FastPublish({ run: commands.run, commandListener, sizes });
  const ends = new TransportEnd();
  const lifecycle = new ConnectionLifecycle(
    {
      registry,
      budget,
      sessions,
      direct,
      restore: parts.restore,
      commands,
      router,
      sizes,
      commandListener,
      fastPublish,
      revalidate: (attempt) => pipeline.revalidate(attempt),
      onJoined: (socket) => {
        admission.joined(socket.conn);
        // After the `connection` listeners of an embedding program have run.
        process.nextTick(() => hideToken(socket, io));
      },
      onSocketLeft: ends.left,
      onConnected: () => metrics.connects++,
      onDismissed: parts.changes.increment,
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
      slimConnections: isSlim(websocket.slimConnections, options),
    },
  );
  listenTo(http, io, (request) => pipeline.admit(request));
  io.engine.use(refuseOtherMethods);
  const polling = assemblePolling(parts, io);
  applyBudgets(io, inbound);
  inbound.unreadPacketOn = fastPublish.unreadPacketOn;
  guardUpgrades(http, io.engine);
  io.engine.on('connection', admission.transportOpened);
  io.engine.on('connection', limitClosing);
  io.engine.on('connection', (transport: EngineConnection) =>
    countBodies(transport, {
      bodies: limits.bodies,
      callerOf: (engine, request) => {
        const connection = connectionOn(engine);
        return connection === undefined
          ? addressCaller(addressOf(request))
          : `user:${connection.identity.userId}`;
      },
      refuse: refuseRequest,
    }),
  );
  io.engine.on('connection_error', ({ req }: { req: IncomingMessage }) => admission.failed(req));
  const middleware = new ConnectionMiddleware({ pipeline, lifecycle, addressOf, onRefused: refusals.note });
  const namespaces = new NamespaceGuard(
    {
      members: parts.members,
      authenticate: tokens.authenticate,
      onAuthenticated,
      mainIdentity: middleware.identityOn,
      onConnect: (event) => hooks.connecting(event),
      acquireUserSlot: userSlots.acquire,
      revalidate: (identity) => pipeline.revalidate({ identity }),
      addressOf,
      onRefused: refusals.note,
      log,
    },
    // That of the Admin UI has its own login.
    {
      publicNamespaces: [
        ...(options.publicNamespaces ?? []),
        ...(hasSocketIoUi(settings, options) ? [uiNamespace] : []),
      ],
    },
  );
  namespaces.install(io);
  // Namespaces of an embedding program.
  io.on('new_namespace', (namespace) =>
    namespace.on('connection', (socket) => {
      admission.joined(socket.conn);
      socket.on('disconnect', () => ends.left(socket));
    }),
  );
  middleware.install(io);
  const onConnection = (connection: Parameters<typeof joinWith>[1]) => joinWith(io, connection);
  const newAdmission: NewAdmission = (reader) => inbound.newBudget(reader, 'json');
  const upgrades = new WsUpgrade(
    http,
    { pipeline, addressOf, newAdmission, onConnection },
    transportSettings(settings),
  );
  answerUnservedUpgrades({ http, isServed, before: upgradesBefore }, { limitMs: 20_000 });
  const closing = new GatewayClose({ http, io, upgrades, log });
  const drain = assembleDrain({ ...parts, upgrades, admission, log: logOf('drain') });
  const suspensions = new SuspensionWatch({ registry, log });
  return {
    budget,
    fastPublish,
    lifecycle,
    namespaces,
    inbound,
    tcp,
    drain: drain.clients,
    polling: () => polling?.counts ?? newPollingCounts(),
    stop: () => {
      drain.clients.abandon();
      admission.stop();
      suspensions.close();
      upgrades.stop();
    },
    settle: async (limitMs) => {
      const isIdle = () => router.running === 0 && commands.isEmpty;
      const endsAt = performance.now() + limitMs;
      while (!isIdle() && performance.now() < endsAt) await systemClock.sleep(5);
    },
    close: async (limitMs) => {
      drain.beforeClose();
      polling?.release();
      await closing.close(limitMs);
      await polling?.flushed(flushLimitMs);
      polling?.close();
    },
  };
}

/** Time for the last responses to clients behind other replicas, in milliseconds. */
const flushLimitMs = 300;

/**
 * A handshake waits at most this long, in milliseconds. Clients time out after 20 seconds (socket.io-client's
 * default).
 */
const longestWaitMs = 10_000;

function handshakeQueue(ratePerSec: number): HandshakeQueue | undefined {
  return ratePerSec === 0
    ? undefined
    : new HandshakeQueue({ clock: systemClock }, { ratePerSec, longestWaitMs });
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
