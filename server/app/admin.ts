import type { Router } from 'express';
import type { Server as SocketIoServer } from 'socket.io';
import { version } from '../../shared/version.js';
import { ActorOperations } from '../admin/actors/actor-operations.js';
import { actorRoutes } from '../admin/actors/actor-routes.js';
import { AdminCalls } from '../admin/admin-calls.js';
import type { AdminRoute } from '../admin/admin-route.js';
import { adminRouter } from '../admin/admin-router.js';
import { AuditLog } from '../admin/audit/audit-log.js';
import { clusterRoutes } from '../admin/cluster/cluster-routes.js';
import { replicaMetrics } from '../admin/cluster/replica-metrics.js';
import { ConnectionOperations } from '../admin/connections/connection-operations.js';
import { connectionRoutes } from '../admin/connections/connection-routes.js';
import { applyControlChanges } from '../admin/control/control-effects.js';
import { controlRoutes } from '../admin/control/control-routes.js';
import { serveInboxes } from '../admin/inboxes/inbox-operations.js';
import { inboxRoutes } from '../admin/inboxes/inbox-routes.js';
import { NotificationOperations } from '../admin/notifications/notification-operations.js';
import { notificationRoutes } from '../admin/notifications/notification-routes.js';
import { Departures } from '../admin/recipients/departures.js';
import { RecipientOperations } from '../admin/recipients/recipient-operations.js';
import { recipientRoutes } from '../admin/recipients/recipient-routes.js';
import { serveRefusals } from '../admin/refusals/refusal-operations.js';
import { refusalRoutes } from '../admin/refusals/refusal-routes.js';
import { ReplicaOperations } from '../admin/replicas/replica-operations.js';
import { overviewRoutes } from '../admin/overview/overview-routes.js';
import { replicaRoutes } from '../admin/replicas/replica-routes.js';
import { searchRoutes } from '../admin/search/search-routes.js';
import { sessionRoutes } from '../admin/sessions/session-routes.js';
import { serveTalkers } from '../admin/talkers/talker-operations.js';
import { talkerRoutes } from '../admin/talkers/talker-routes.js';
import { tokenRoutes } from '../admin/tokens/token-routes.js';
import { TopicOperations } from '../admin/topics/topic-operations.js';
import { topicRoutes } from '../admin/topics/topic-routes.js';
import { TraceOperations } from '../admin/traces/trace-operations.js';
import { traceRoutes } from '../admin/traces/trace-routes.js';
import { publicSettings } from '../config/describe.js';
import { roundTripMs } from '../gateway/liveness-probe.js';
import type { ReplicaDrain } from '../gateway/drain/replica-drain.js';
import type { BoundedResponses } from '../http/bounded-responses.js';
import type { Overview } from '../admin/overview/overview.js';
import type { Phase } from '../protocol/phase.js';
import { assembleOverview } from './admin-overview.js';
import type { Foundation } from './foundation.js';
import type { Messaging } from './messaging.js';
import type { ServiceOptions } from './service-options.js';
import { assembleSocketIoUi, hasSocketIoUi } from './socket-io-ui.js';

type AdminParts = Foundation &
  Messaging & {
    readonly io: SocketIoServer;
    readonly options: Pick<ServiceOptions, 'socketIoUi'>;
    readonly responses: BoundedResponses;
    readonly phase: () => Phase;
    readonly isStopping: () => boolean;
    readonly drain: Pick<ReplicaDrain, 'clientCount'>;
    readonly onDrainRequested: () => void;
  };

/** Of a list. Operators look at pages, often from a phone: there is no use in more. */
const answerLimitBytes = 240_000;

/** The routes under `/admin`. */
export interface Admin {
  readonly router: Router;
  /** Records what is still to be recorded. */
  close(): Promise<void>;
}

/** Assembles `/admin`, subject by subject: the answers of this replica, then the routes. */
export function assembleAdmin(parts: AdminParts): Admin {
  serveOperations(parts);
  const { settings, storage, logger, replicaId, tokens } = parts;
  const audit = new AuditLog(
    { store: storage.shared, log: logger.log('audit'), replicaId, now: Date.now },
    { size: settings.admin.auditSize },
  );
  storage.onUp(() => void audit.store());
  const { overview, close } = assembleOverview(parts);
  const routes = adminRoutes(parts, audit, overview);
  const canChange = () => storage.redis().state !== 'down';
  const answerLimitMs = settings.admin.callTimeoutMs + settings.redis.commandTimeoutMs + 1000;
  const log = logger.log('http');
  const router = adminRouter(
    {
      routes,
      authenticate: tokens.authenticate,
      addressOf: parts.addresses.of,
      audit,
      responses: parts.responses,
      bodies: parts.limits.bodies,
      canChange,
      log,
    },
    { bodyLimitBytes: settings.websocket.transportLimitBytes, answerLimitMs },
  );
  const calls = new AdminCalls({ routes, audit, canChange, log }, { answerLimitMs });
  const ui = hasSocketIoUi(settings, parts.options) ? assembleSocketIoUi({ ...parts, calls }) : undefined;
  return {
    router,
    close: () => {
      close();
      ui?.close();
      return audit.close();
    },
  };
}

function serveOperations(parts: AdminParts): void {
  const { settings, logger, control, registry, members, topics, presence, gate, replicaId } = parts;
  const { supervision, tracing, metrics } = parts;
  const { cluster } = control;
  const connections = () => registry.all();
  const notifications = new NotificationOperations({
    connections,
    subscribers: (topic) => topics.subscribers(topic),
  });
  notifications.serve(cluster);
  new ConnectionOperations({
    replicaId,
    connections,
    connection: (id) => registry.connection(id),
    roundTripMs: async (id) => {
      const connection = registry.connection(id);
      return connection === undefined ? undefined : roundTripMs(connection);
    },
    members: () => members.all(),
    topics,
    gate,
    sessionStored: (connection) => parts.sessions.stored(connection),
  }).serve(cluster);
  new TopicOperations({
    activeTopics: () => topics.activeTopics(),
    activeTopic: (name) => topics.activeTopic(name),
  }).serve(cluster);
  new ActorOperations({
    replicaId,
    supervisor: supervision.supervisor,
    actors: () => topics.publisher.health(),
    hookWorkers: () => supervision.hookPool?.workers() ?? [],
  }).serve(cluster);
  new TraceOperations(tracing.tracer.ring).serve(cluster);
  serveTalkers(cluster, parts.limits.talkers);
  serveRefusals(cluster, tracing.refusals);
  serveInboxes(cluster, parts.inboxSizes);
  const departures = new Departures(Date.now);
  parts.storage.onReplicas(departures.compare);
  new RecipientOperations({
    replicaId,
    connections,
    topics,
    sessions: parts.sessions,
    direct: parts.direct,
    maySubscribe: ({ identity }, topic) => parts.permissions.allows(identity, 'subscribe', topic),
    record: tracing.record,
    departedAt: () => departures.lastAt,
  }).serve(cluster);
  const { drainDelaySecs, drainWindowSecs, shutdownTimeoutMs } = settings.server;
  new ReplicaOperations(
    {
      isStopping: parts.isStopping,
      clients: () => parts.drain.clientCount,
      onDrainRequested: parts.onDrainRequested,
    },
    { limitSecs: drainDelaySecs + drainWindowSecs + shutdownTimeoutMs / 1000 },
  ).serve(cluster);
  cluster.answer(replicaMetrics, () => metrics.document());
  applyControlChanges({
    control: control.state,
    setPresenceShed: (shed) => presence.setShed(shed),
    setLogFilter: (filter = settings.logging.level) => logger.setFilter(filter),
    notify: (notification) => notifications.notify(notification),
    log: logger.log('emergency'),
    now: Date.now,
  });
}

function adminRoutes(parts: AdminParts, audit: AuditLog, overview: Overview): readonly AdminRoute[] {
  const { settings, storage, logger, control, supervision, tracing, tokens, replicaId } = parts;
  const { cluster, state } = control;
  const now = Date.now;
  const pages = { answerBytes: Math.min(settings.topics.maxHistoryAnswerBytes, answerLimitBytes) };
  const routes: readonly AdminRoute[] = [
    ...clusterRoutes(
      {
        cluster,
        control: state,
        audit,
        settings: () => publicSettings(settings),
        routes: () => routes,
        version,
      },
      pages,
    ),
    ...overviewRoutes({ overview, replicaId, version }),
    ...searchRoutes({ cluster }),
    ...replicaRoutes({ cluster }),
    ...controlRoutes({ control: state, logFilter: () => logger.directives, now }),
    ...notificationRoutes({ cluster, now }),
    ...connectionRoutes({ cluster }, pages),
    ...topicRoutes({ cluster, broker: storage.broker, control: state, presence: parts.presence }, pages),
    ...inboxRoutes(
      { broker: storage.broker, cluster },
      { messages: settings.direct.inboxSize, bytes: settings.direct.inboxBytes },
    ),
    ...actorRoutes({ cluster, alerts: supervision.alerts }, pages),
    ...traceRoutes({ cluster, rules: tracing.rules, now }, pages),
    ...refusalRoutes({ cluster }),
    ...recipientRoutes({ cluster, broker: storage.broker, sessions: storage.sessions }),
    ...talkerRoutes({ cluster, limits: control.userLimits, now }),
    ...sessionRoutes(
      {
        store: storage.sessions,
        pool: supervision.pool,
        replicaId,
        now,
        log: logger.log('sessions'),
      },
      pages,
    ),
    ...tokenRoutes({
      issuer: tokens.issuer,
      verifier: tokens.verifier,
      revocations: tokens.revocations,
      now,
    }),
  ];
  return routes;
}
