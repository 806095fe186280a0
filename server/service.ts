import { createServer, type IncomingMessage, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { randomBytes } from 'node:crypto';
import { createAdapter } from '@socket.io/redis-adapter';
import express, { type Express } from 'express';
import type { Server as SocketIoServer } from 'socket.io';
import { assembleCommands, presenceRoom } from './assembly/commands.js';
import type { Hooks } from './actors/hooks.js';
import type { Identity } from './auth/identity.js';
import { assembleHttp } from './assembly/http.js';
import { assembleLimits, type Limits } from './assembly/limits.js';
import { alertNotifier, assembleControl, assembleOperations, type Control } from './assembly/operations.js';
import { assembleSupervision, type Supervision } from './assembly/supervision.js';
import { assembleTokens, type Tokens } from './assembly/tokens.js';
import { assembleTracing, type Tracing } from './assembly/tracing.js';
import { metricSources } from './assembly/metric-sources.js';
import { Permissions } from './auth/permissions.js';
import { makeDevelopmentSecret } from './auth/token-keys.js';
import { openStorage, type Storage } from './cluster/storage.js';
import { SettingsError } from './config/load.js';
import type { Settings } from './config/schema.js';
import { Confirmations } from './direct/confirmations.js';
import { DirectService } from './direct/direct-service.js';
import { HandshakeAdmission } from './limits/admission.js';
import { PresenceService } from './presence/presence-service.js';
import { SessionService } from './sessions/session-service.js';
import type { Log } from './telemetry/log.js';
import { LoggerFactory } from './telemetry/logger.js';
import { Metrics } from './telemetry/metrics.js';
import { TopicHub } from './topics/hub.js';
import { ClientAddresses } from './transports/client-addresses.js';
import { ConnectionGate } from './transports/connection-gate.js';
import { acceptJsonClients } from './transports/json/upgrade.js';
import { version } from './version.js';
import { OutboxAccount } from './transports/outbox.js';
import { RefusalLog } from './transports/refusal-log.js';
import { ConnectionRegistry } from './transports/registry.js';
import { createSocketIo, type Handshakes, type LetIn } from './transports/socketio.js';

/** Parts that an embedding program may bring along. */
export interface ServiceOptions {
  readonly logger?: LoggerFactory;
  /** Code of the program that sees, changes or refuses what happens; see {@link Hooks}. */
  readonly hooks?: Hooks;
}

/** The service of one replica: the one place where its parts are put together. */
export class Service {
  readonly replicaId: string;
  readonly http: HttpServer;
  readonly app: Express;
  readonly io: SocketIoServer;
  readonly metrics = new Metrics();
  /** The secret that was made for this run, where none was set. */
  readonly developmentSecret: string | undefined;
  readonly logger: LoggerFactory;
  private readonly log: Log;
  private readonly storage: Storage;
  private readonly topics: TopicHub;
  private readonly registry: ConnectionRegistry;
  private readonly admission: HandshakeAdmission;
  private readonly limits: Limits;
  private readonly sessions: SessionService;
  private readonly presence: PresenceService;
  private readonly direct: DirectService;
  private readonly account: OutboxAccount;
  private readonly tokens: Tokens;
  private readonly control: Control;
  private readonly supervision: Supervision;
  private readonly tracing: Tracing;
  private readonly addresses: ClientAddresses;
  private readonly stopJsonClients: () => void;
  private readonly startedMs = performance.now();
  private phase: 'starting' | 'running' | 'draining' = 'starting';
  private closing: Promise<void> | undefined;

  /** @throws SettingsError if the settings do not fit together */
  constructor(
    private readonly settings: Settings,
    options: ServiceOptions = {},
  ) {
    const nowMs = Date.now;
    const { websocket } = settings;
    this.replicaId = settings.server.replicaId ?? `${hostname()}-${randomBytes(3).toString('hex')}`;
    this.logger = options.logger ?? new LoggerFactory(settings.logging);
    this.log = this.logger.log('service');
    this.developmentSecret = needsDevelopmentSecret(settings) ? makeDevelopmentSecret() : undefined;
    const permissions = new Permissions(settings.permissions);

    this.storage = openStorage({ replicaId: this.replicaId, logOf: this.logger.log, nowMs }, settings);
    this.tokens = assembleTokens({
      settings,
      secret: settings.auth.jwtSecret ?? this.developmentSecret,
      storage: this.storage,
      logOf: this.logger.log,
    });
    const { authenticate } = this.tokens;
    this.control = assembleControl({ settings, storage: this.storage, logger: this.logger });
    const parts = { settings, replicaId: this.replicaId, storage: this.storage, logOf: this.logger.log };
    this.supervision = assembleSupervision({
      ...parts,
      hooks: options.hooks ?? {},
      announce: alertNotifier(this.control),
    });
    this.tracing = assembleTracing({ ...parts, switches: this.control.map });
    const { supervisor, hooks } = this.supervision;
    const { tracer } = this.tracing;
    this.addresses = new ClientAddresses(settings.server.trustedProxies);
    this.app = express().disable('x-powered-by').set('trust proxy', this.addresses.isTrusted);
    this.http = createServer(this.app);
    const { state: switches } = this.control;
    this.limits = assembleLimits({
      settings,
      storage: this.storage,
      logOf: this.logger.log,
      rates: () => switches.rates,
    });
    const { addresses, userConnections } = this.limits;
    this.admission = new HandshakeAdmission(
      { addresses, addressOf: this.addresses.of },
      { maxConnections: websocket.maxConnections, handshakesPerSec: websocket.handshakesPerSec },
    );
    const admit = (request: IncomingMessage) => {
      switches.checkConnect();
      return this.admission.admit(request);
    };
    const checkEntry = (identity: Identity) => {
      switches.checkConnect();
      this.tokens.checkRevoked(identity);
    };
    const refusals = new RefusalLog({
      log: this.logger.log('connection'),
      count: (code) => this.metrics.countRefused(code),
      addressOf: this.addresses.of,
      nowMs: () => performance.now(),
    });
    const handshakes: Handshakes = {
      admit,
      isWaiting: (request) => this.admission.isWaiting(request),
      onRefused: (error, request) => refusals.note(error, request),
    };
    this.io = createSocketIo(this.http, handshakes, {
      heartbeatIntervalMs: websocket.heartbeatIntervalSecs * 1000,
      clientTimeoutMs: websocket.clientTimeoutSecs * 1000,
      connectTimeoutMs: websocket.connectTimeoutSecs * 1000,
      transportLimitBytes: websocket.transportLimitBytes,
      allowedOrigins: websocket.allowedOrigins,
    });
    const { adapter } = this.storage;
    if (adapter !== undefined) {
      this.io.adapter(
        createAdapter(adapter.publisher, adapter.subscriber, {
          key: `${settings.redis.keyPrefix}:io`,
          publishOnSpecificResponseChannel: true,
        }),
      );
    }
    const namespace = this.io.of('/');
    this.registry = new ConnectionRegistry(namespace);
    this.account = new OutboxAccount(settings.outbox);
    const confirmations = new Confirmations(this.storage.bus);
    this.topics = new TopicHub(
      {
        broker: this.storage.broker,
        audience: this.registry,
        acks: confirmations,
        supervisor,
        onPublish: hooks.publish,
        onSubscribe: hooks.subscribing,
        tracer,
        onDelivered: (latencyMs) => this.metrics.deliveryMs.observe(latencyMs),
        log: this.logger.log('routing'),
        nowMs,
      },
      {
        fanoutWindowMs: settings.topics.fanoutWindowMs,
        fanoutWindowMaxMs: settings.topics.fanoutWindowMaxMs,
        positionCheckMs: settings.topics.positionCheckSecs * 1000,
        outboxOverflow: settings.outbox.overflowStrategy,
        blockCacheBytes: settings.topics.catchUpCacheBytes,
        mailboxCapacity: settings.actorSystem.mailboxCapacity,
        mailboxOverflow: settings.actorSystem.overflowStrategy,
        batchMax: settings.actorSystem.batchMax,
        actorIdleMs: settings.actorSystem.idleSecs * 1000,
      },
    );
    this.presence = new PresenceService({
      store: this.storage.presence,
      bus: this.storage.bus,
      log: this.logger.log('presence'),
      notify: (topic, event) => this.io.local.to(presenceRoom(topic)).emit('presence', event),
    });
    this.sessions = new SessionService({
      store: this.storage.sessions,
      topics: this.topics,
      log: this.logger.log('sessions'),
      nowMs,
    });
    this.direct = new DirectService(
      {
        topics: this.topics,
        broker: this.storage.broker,
        confirmations,
        tracer,
        log: this.logger.log('direct'),
        onStored: () => this.metrics.direct++,
      },
      settings.direct,
    );
    const letIn: LetIn = (identity, request, wire) => {
      const { userId, roles } = identity;
      const asked = hooks.connecting({ userId, roles, address: this.addresses.of(request), wire });
      if (asked === undefined) return userConnections.claim(userId);
      return asked.then(() => userConnections.claim(userId) ?? noPlace);
    };
    const gate = new ConnectionGate(
      {
        registry: this.registry,
        account: this.account,
        topics: this.topics,
        sessions: this.sessions,
        direct: this.direct,
        permissions,
        authenticate,
        letIn,
        checkEntry,
        onTransport: this.admission.entered,
        onLeft: ({ id, identity }, reason) =>
          hooks.disconnected({ connectionId: id, userId: identity.userId, reason }),
        router: () => router,
        appendMs: this.topics.appendMs,
        metrics: this.metrics,
        addressOf: this.addresses.of,
        onRefused: handshakes.onRefused,
        mode: () => switches.mode,
        log: this.logger.log('connection'),
        nowMs,
      },
      { maxMessageBytes: websocket.maxMessageBytes },
    );
    const router = assembleCommands({
      settings,
      io: this.io,
      topics: this.topics,
      direct: this.direct,
      presence: this.presence,
      sessions: this.sessions,
      permissions,
      confirmations,
      authenticate,
      metrics: this.metrics,
      tracer,
      logOf: this.logger.log,
      checkTopic: (topic) => switches.checkTopic(topic),
      admit: (connection, name) => {
        switches.checkCommand(name);
        return this.limits.commands.admit(connection);
      },
    });
    this.tokens.watch(() => this.registry.all());
    this.followRooms();
    gate.open(this.io);
    this.stopJsonClients = acceptJsonClients(
      this.http,
      {
        ...handshakes,
        authenticate,
        letIn,
        checkEntry,
        onConnection: (connection) => gate.accept(this.io, connection),
      },
      {
        heartbeatIntervalMs: websocket.heartbeatIntervalSecs * 1000,
        clientTimeoutMs: websocket.clientTimeoutSecs * 1000,
        transportLimitBytes: websocket.transportLimitBytes,
        allowedOrigins: websocket.allowedOrigins,
      },
    );
    assembleHttp(this.app, {
      ...parts,
      health: {
        replicaId: this.replicaId,
        version,
        uptimeSecs: () => Math.round((performance.now() - this.startedMs) / 1000),
        connections: () => this.registry.size,
        redis: () => this.storage.redis(),
        phase: () => this.phase,
        control: () => switches.snapshot(),
      },
      metrics: this.metrics,
      limits: this.limits,
      tokens: this.tokens,
      router,
      authenticate,
      addressOf: this.addresses.of,
      admin: assembleOperations({
        ...parts,
        logger: this.logger,
        control: this.control,
        registry: this.registry,
        topics: this.topics,
        presence: this.presence,
        metrics: this.metrics,
        supervision: this.supervision,
        tracing: this.tracing,
        authenticate,
        addressOf: this.addresses.of,
        onSubscriptionsChanged: (connection) => this.sessions.onChanged(connection),
        moreRoutes: this.tokens.adminRoutes,
      }),
    });
    this.metrics.setSources(
      metricSources({
        replicaId: this.replicaId,
        registry: this.registry,
        topics: this.topics,
        account: this.account,
        storage: this.storage,
        limits: this.limits,
        tokens: this.tokens,
        supervision: this.supervision,
        tracing: this.tracing,
      }),
    );
  }

  /** Listens. Resolves to the port. Redis may be away: it is met when it comes. */
  async start(): Promise<number> {
    this.storage.start();
    await this.storage.whenReady(3000);
    await Promise.all([this.control.map.read(), this.tokens.read(), this.tracing.open()]);
    const { host, port } = this.settings.server;
    await new Promise<void>((resolve, reject) => {
      this.http.once('error', reject);
      this.http.listen(port, host, resolve);
    });
    this.phase = 'running';
    const address = this.http.address() as AddressInfo;
    this.log.info('Listening', {
      port: address.port,
      replica_id: this.replicaId,
      storage: this.settings.redis.url === undefined ? 'memory' : 'redis',
    });
    return address.port;
  }

  /** Stops in order: no new work, what is under way is finished, clients are told to go elsewhere, then the stores. */
  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    this.phase = 'draining';
    this.admission.stop();
    this.tokens.close();
    this.limits.close();
    this.control.map.close();
    this.stopJsonClients();
    await this.topics.settle(this.settings.server.shutdownTimeoutMs / 2);
    for (const connection of this.registry.all()) this.sessions.left(connection, false);
    await this.sessions.close();
    await new Promise<void>((resolve) => void this.io.close(() => resolve()));
    this.direct.close();
    await this.topics.close();
    await this.presence.close();
    this.supervision.close();
    await this.tracing.close();
    await this.storage.close();
    this.account.close();
    this.metrics.close();
    this.log.info('Stopped', { replica_id: this.replicaId });
  }

  private followRooms(): void {
    const { topics, presence, registry } = this;
    const userOf = (id: string) => registry.connection(id)?.identity.userId;
    registry.follow({
      onRoomCreated: (topic) => topics.onRoomCreated(topic),
      onRoomDeleted: (topic) => topics.onRoomDeleted(topic),
      onJoined: (topic, id) => {
        const userId = userOf(id);
        if (userId !== undefined) presence.joined(topic, userId);
      },
      onLeft: (topic, id) => {
        topics.onLeft(topic, id);
        const userId = userOf(id);
        if (userId !== undefined) presence.left(topic, userId);
      },
    });
    this.storage.onUp(() => presence.rewrite());
  }
}

/** Given back where no places are counted. */
const noPlace = (): void => {};

function needsDevelopmentSecret({ auth, server }: Settings): boolean {
  if (auth.jwtSecret !== undefined || auth.publicKeyFile !== undefined || auth.jwksFile !== undefined)
    return false;
  if (server.environment !== 'production') return true;
  throw new SettingsError([
    'auth.jwt_secret: set JWT_SECRET (or auth.public_key_file, or auth.jwks_file): production does not run without',
  ]);
}
