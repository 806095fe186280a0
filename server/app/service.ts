import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { randomBytes } from 'node:crypto';
import express, { type Express } from 'express';
import type { Server as SocketIoServer } from 'socket.io';
import { assembleCommands } from './commands.js';
import type { Hooks } from '../hooks/hooks.js';
import { assembleEntrance, type Entrance } from './gateway.js';
import { assembleHttp } from './http.js';
import { assembleLimits, type Limits } from './limits.js';
import { assembleAdmin, assembleControl, type Control } from './admin.js';
import { assembleSupervision, type Supervision } from './supervision.js';
import { assembleTokens, type Tokens } from './tokens.js';
import { assembleTracing, type Tracing } from './tracing.js';
import { metricSources } from './metric-sources.js';
import { Permissions } from '../auth/permissions.js';
import { developmentSecret } from '../auth/development-secret.js';
import { alertNotifier } from '../admin/notifications/alert-notifier.js';
import { openStorage, type Storage } from '../storage/storage.js';
import type { Settings } from '../config/schema.js';
import { Confirmations } from '../fanout/confirmations.js';
import { DirectService } from '../direct/direct-service.js';
import { PresenceService } from '../presence/presence-service.js';
import { SessionService } from '../sessions/session-service.js';
import type { Log } from '../logging/log.js';
import { LoggerFactory } from '../logging/logger.js';
import { Metrics } from '../metrics/metrics.js';
import type { TopicHub } from '../topics/topic-hub.js';
import { assembleTopics } from './topics.js';
import { followRooms } from '../gateway/follow-rooms.js';
import { PresenceRooms } from '../gateway/socketio/presence-rooms.js';
import { ClientAddresses } from '../gateway/handshake/client-addresses.js';
import { version } from '../../shared/version.js';
import { SendBufferBudget } from '../fanout/outbox.js';
import { ConnectionRegistry } from '../gateway/connection-registry.js';

/** Parts that an embedding program can provide. */
export interface ServiceOptions {
  readonly logger?: LoggerFactory;
  /** Hooks of the program; see {@link Hooks}. */
  readonly hooks?: Hooks;
}

/** The service of one replica: constructs all parts, starts and stops them. */
export class Service {
  readonly replicaId: string;
  readonly http: HttpServer;
  readonly app: Express;
  readonly io: SocketIoServer;
  readonly metrics = new Metrics();
  /** The secret that was generated for this run, if the settings have none. */
  readonly developmentSecret: string | undefined;
  readonly logger: LoggerFactory;
  private readonly log: Log;
  private readonly storage: Storage;
  private readonly topics: TopicHub;
  private readonly registry: ConnectionRegistry;
  private readonly entrance: Entrance;
  private readonly limits: Limits;
  private readonly sessions: SessionService;
  private readonly presence: PresenceService;
  private readonly direct: DirectService;
  private readonly budget: SendBufferBudget;
  private readonly tokens: Tokens;
  private readonly control: Control;
  private readonly supervision: Supervision;
  private readonly tracing: Tracing;
  private readonly addresses: ClientAddresses;
  private readonly startedAt = performance.now();
  private phase: 'starting' | 'running' | 'draining' = 'starting';
  private closing: Promise<void> | undefined;

  /** @throws SettingsError if the settings do not fit together */
  constructor(
    private readonly settings: Settings,
    options: ServiceOptions = {},
  ) {
    const now = Date.now;
    this.replicaId = settings.server.replicaId ?? `${hostname()}-${randomBytes(3).toString('hex')}`;
    this.logger = options.logger ?? new LoggerFactory(settings.logging);
    this.log = this.logger.log('service');
    this.developmentSecret = developmentSecret(settings);
    const permissions = new Permissions(settings.permissions);

    this.storage = openStorage({ replicaId: this.replicaId, logOf: this.logger.log, now }, settings);
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
      announce: alertNotifier(this.control.cluster),
    });
    this.tracing = assembleTracing({ ...parts, switches: this.control.map });
    const { hooks } = this.supervision;
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
    this.entrance = assembleEntrance({
      ...parts,
      http: this.http,
      tokens: this.tokens,
      switches,
      limits: this.limits,
      hooks,
      metrics: this.metrics,
      addressOf: this.addresses.of,
    });
    this.io = this.entrance.io;
    const namespace = this.io.of('/');
    this.registry = new ConnectionRegistry(namespace);
    this.budget = new SendBufferBudget(settings.outbox);
    const confirmations = new Confirmations(this.storage.bus);
    this.topics = assembleTopics({
      ...parts,
      registry: this.registry,
      confirmations,
      supervision: this.supervision,
      tracing: this.tracing,
      metrics: this.metrics,
    });
    const presenceRooms = new PresenceRooms(this.io);
    this.presence = new PresenceService({
      store: this.storage.presence,
      bus: this.storage.bus,
      log: this.logger.log('presence'),
      notify: presenceRooms.notify,
    });
    this.sessions = new SessionService({
      store: this.storage.sessions,
      topics: this.topics,
      log: this.logger.log('sessions'),
      now,
    });
    this.direct = new DirectService({
      topics: this.topics,
      broker: this.storage.broker,
      confirmations,
      tracer,
      log: this.logger.log('direct'),
      onStored: () => this.metrics.direct++,
    });
    const router = assembleCommands({
      settings,
      presenceRooms,
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
    followRooms({ registry: this.registry, topics: this.topics, presence: this.presence });
    this.storage.onUp(() => this.presence.rewrite());
    this.entrance.open({
      registry: this.registry,
      budget: this.budget,
      topics: this.topics,
      sessions: this.sessions,
      direct: this.direct,
      permissions,
      router: () => router,
      appendAt: (topic) => this.topics.publisher.appendAt(topic),
      now,
    });
    assembleHttp(this.app, {
      ...parts,
      health: {
        replicaId: this.replicaId,
        version,
        uptimeSecs: () => Math.round((performance.now() - this.startedAt) / 1000),
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
      admin: assembleAdmin({
        ...parts,
        logger: this.logger,
        control: this.control,
        registry: this.registry,
        topics: this.topics,
        presence: this.presence,
        metrics: this.metrics,
        supervision: this.supervision,
        tracing: this.tracing,
        sessions: this.sessions,
        tokens: this.tokens,
        addressOf: this.addresses.of,
      }),
    });
    this.metrics.setSources(
      metricSources({
        replicaId: this.replicaId,
        registry: this.registry,
        topics: this.topics,
        budget: this.budget,
        storage: this.storage,
        limits: this.limits,
        tokens: this.tokens,
        supervision: this.supervision,
        tracing: this.tracing,
      }),
    );
  }

  /** Starts to listen. Resolves to the port. Redis may be unreachable: it is used as soon as it is reachable. */
  async start(): Promise<number> {
    this.storage.start();
    await this.storage.whenReady(3000);
    await Promise.all([this.control.map.read(), this.tokens.read(), this.tracing.spans.open()]);
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

  /** Stops in order: no new connections, unfinished publishes complete, clients are disconnected, then the stores are closed. */
  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    this.phase = 'draining';
    this.entrance.stop();
    this.tokens.close();
    this.limits.close();
    this.control.map.close();
    await this.topics.settle(this.settings.server.shutdownTimeoutMs / 2);
    for (const connection of this.registry.all()) this.sessions.left(connection, false);
    await this.sessions.close();
    await new Promise<void>((resolve) => void this.io.close(() => resolve()));
    this.direct.close();
    await this.topics.close();
    await this.presence.close();
    this.supervision.close();
    this.tracing.rules.close();
    await this.tracing.spans.close();
    await this.storage.close();
    this.budget.close();
    this.metrics.close();
    this.log.info('Stopped', { replica_id: this.replicaId });
  }
}
