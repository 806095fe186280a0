import { randomBytes } from 'node:crypto';
import type { Server as HttpServer } from 'node:http';
import { hostname } from 'node:os';
import express, { type Express } from 'express';
import type { Server as SocketIoServer } from 'socket.io';
import type { Settings } from '../config/schema.js';
import { ConnectionTurns } from '../gateway/handshake/connection-turns.js';
import type { NamespaceMiddleware } from '../gateway/engine-internals/namespace-middleware.js';
import { BoundedResponses } from '../http/bounded-responses.js';
import type { DrainCounts } from '../gateway/drain/drain-counts.js';
import { createHttpServer } from '../http/http-server.js';
import type { LoggerFactory } from '../logging/logger.js';
import type { Metrics } from '../metrics/metrics.js';
import { systemClock } from '../primitives/clock.js';
import type { StopReport } from '../supervision/ordered-stop.js';
import { assembleAdmin } from './admin.js';
import { assembleFoundation } from './foundation.js';
import { assembleGateway, assembleSocketIo } from './gateway.js';
import { assembleHttp, assembleRequestGuard } from './http.js';
import { assembleInbound } from './inbound.js';
import { assembleMessaging } from './messaging.js';
import { LifeCycle, type StopOptions } from './life-cycle.js';
import { metricSources } from './metric-sources.js';
import type { ProgramApi } from './program-api.js';
import type { ServiceOptions } from './service-options.js';
import { hasSocketIoUi } from './socket-io-ui.js';
import { startUp } from './start-up.js';
import { stopParts, type StoppedParts } from './stop-steps.js';

/** The service of one replica: constructs all parts, starts and stops them. */
export class Service {
  readonly replicaId: string;
  /** Listens when the service is started. */
  readonly http: HttpServer;
  /** Serves plain HTTP requests. An embedding program can add its own routes before it starts the service. */
  readonly app: Express;
  readonly io: SocketIoServer;
  readonly metrics: Metrics;
  readonly logger: LoggerFactory;
  /** Publishes a message of the program. @throws RefusalError the same codes as the command `publish` */
  readonly publish: ProgramApi['publish'];
  /** Sends a user a message of the program. @throws RefusalError the same codes as the command `direct` */
  readonly direct: ProgramApi['direct'];
  /** Hands the messages of a topic to the program, in order. @throws RefusalError as {@link ProgramApi.subscribe} */
  readonly subscribe: ProgramApi['subscribe'];
  /** The secret generated for this run if the settings have none. */
  readonly developmentSecret: string | undefined;
  private readonly parts: StoppedParts;
  private readonly lifeCycle: LifeCycle;

  /** @throws SettingsError if the settings are inconsistent */
  constructor(settings: Settings, options: ServiceOptions = {}) {
    this.replicaId = settings.server.replicaId ?? `${hostname()}-${randomBytes(3).toString('hex')}`;
    const foundation = assembleFoundation(settings, this.replicaId, options);
    this.metrics = foundation.metrics;
    this.logger = foundation.logger;
    this.developmentSecret = foundation.generatedSecret;
    this.app = express().disable('x-powered-by').set('trust proxy', foundation.addresses.isTrusted);
    this.http = options.http ?? createHttpServer(settings.server);
    // A program that serves requests itself adds the app to its routes.
    const ownsRequests = this.http.listenerCount('request') === 0;
    if (ownsRequests) this.http.on('request', this.app);
    const connectionTurns = new ConnectionTurns({ clock: systemClock });
    const inbound = assembleInbound(foundation, connectionTurns);
    this.io = assembleSocketIo(foundation, inbound, options.socketIo);
    const phase = () => this.lifeCycle.phase;
    const isDraining = () => phase() === 'stopping';
    const messaging = assembleMessaging({ ...foundation, io: this.io, isDraining });
    const parts = { ...foundation, ...messaging };
    ({ publish: this.publish, direct: this.direct, subscribe: this.subscribe } = messaging.program);
    const { http, io } = this;
    const gateway = assembleGateway({ ...parts, http, io, inbound, options });
    assembleRequestGuard(http, foundation, { connections: connectionTurns, tcp: gateway.tcp });
    const responses = new BoundedResponses(foundation.limits.answers, {
      answerBytes: settings.topics.maxHistoryAnswerBytes,
      timeoutMs: settings.outbox.answerTimeoutSecs * 1000,
    });
    const admin = assembleAdmin({
      ...parts,
      io,
      options,
      responses,
      phase,
      drain: gateway.drain,
      isStopping: () => this.lifeCycle.isEnding,
      onDrainRequested: options.onDrainRequested ?? (() => void this.close({ drain: true })),
    });
    const openHttp = assembleHttp(this.app, {
      ...parts,
      phase,
      drain: () => gateway.drain.state,
      startedAt: performance.now(),
      admin: admin.router,
      responses,
      ownsRequests,
      hasSocketIoUi: hasSocketIoUi(settings, options),
    });
    this.metrics.setSources(metricSources({ ...parts, gateway, phase }));
    this.parts = { foundation, messaging, gateway, admin };
    this.lifeCycle = new LifeCycle(
      {
        start: (closed) => startUp({ foundation, http, openHttp, closed }),
        drain: gateway.drain,
        stop: (lateMs) => {
          gateway.stop();
          return stopParts(this.parts, lateMs);
        },
      },
      settings.server,
    );
  }

  /**
   * Starts to listen. Resolves to the port. Redis may be unreachable: it is used as soon as it is reachable. If it rejects, everything is
   * closed again.
   *
   * @throws ServiceClosedError if the service is closed before it listens; SettingsError if `hooks.module` cannot be loaded; the error of
   * Node if it cannot listen
   */
  start(): Promise<number> {
    return this.lifeCycle.start();
  }

  /**
   * Middleware that refuses sockets without a valid token: `service.io.of('/app').use(service.authenticated())`.
   * Namespaces that are not public have it already, as the first one.
   */
  authenticated(): NamespaceMiddleware {
    return this.parts.gateway.namespaces.middleware;
  }

  /**
   * Moves the clients to other replicas: `server.drain_delay_secs` after the replica has reported that it is not ready, over
   * `server.drain_window_secs`. Resolves when none is left. The service serves HTTP until it is closed; it cannot be used again.
   */
  drain(): Promise<DrainCounts> {
    return this.lifeCycle.drain();
  }

  /** Clients that a drain has moved, and has cut off, so far. Those that remain are cut off if the process ends now. */
  get drainProgress(): DrainCounts {
    const { moved, forced, remaining } = this.parts.gateway.drain.state;
    return { moved, forced, remaining };
  }

  /**
   * Stops in order: see {@link stopParts}. Always resolves, within `server.shutdown_timeout_ms`; also while the service starts, and if it
   * was never started. With `drain` it drains first; a call without it ends a drain that is under way.
   */
  close(options?: StopOptions): Promise<void> {
    return this.stop(options).then(() => undefined);
  }

  /** As {@link close}; resolves to what did not stop in time. */
  stop(options?: StopOptions): Promise<StopReport> {
    return this.lifeCycle.stop(options);
  }
}
