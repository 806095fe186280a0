import type { Router } from 'express';
import { version } from '../../shared/version.js';
import { ActorOperations } from '../admin/actors/actor-operations.js';
import { actorRoutes } from '../admin/actors/actor-routes.js';
import type { AdminRoute } from '../admin/admin-route.js';
import { adminRouter } from '../admin/admin-router.js';
import { AuditLog } from '../admin/audit-log.js';
import { clusterRoutes } from '../admin/cluster/cluster-routes.js';
import { replicaMetrics } from '../admin/cluster/replica-metrics.js';
import { ConnectionOperations } from '../admin/connections/connection-operations.js';
import { connectionRoutes } from '../admin/connections/connection-routes.js';
import { applyControlChanges } from '../admin/control/control-effects.js';
import { controlRoutes } from '../admin/control/control-routes.js';
import { inboxRoutes } from '../admin/inboxes/inbox-routes.js';
import { NotificationOperations } from '../admin/notifications/notification-operations.js';
import { notificationRoutes } from '../admin/notifications/notification-routes.js';
import { sessionRoutes } from '../admin/sessions/session-routes.js';
import { tokenRoutes } from '../admin/tokens/token-routes.js';
import { TopicOperations } from '../admin/topics/topic-operations.js';
import { topicRoutes } from '../admin/topics/topic-routes.js';
import { TraceOperations } from '../admin/traces/trace-operations.js';
import { traceRoutes } from '../admin/traces/trace-routes.js';
import { publicSettings } from '../config/describe.js';
import type { Foundation } from './foundation.js';
import type { Messaging } from './messaging.js';

type AdminParts = Foundation & Messaging;

/** Assembles `/admin`, subject by subject: the answers of this replica, then the routes. */
export function assembleAdmin(parts: AdminParts): Router {
  serveOperations(parts);
  const { settings, storage, logger, replicaId, tokens } = parts;
  const audit = new AuditLog(
    { store: storage.shared, log: logger.log('audit'), replicaId, now: Date.now },
    { size: settings.admin.auditSize },
  );
  storage.onUp(() => void audit.store());
  return adminRouter(
    {
      routes: adminRoutes(parts, audit),
      authenticate: tokens.authenticate,
      addressOf: parts.addresses.of,
      audit,
      canChange: () => storage.redis().state !== 'down',
      log: logger.log('http'),
    },
    {
      bodyLimitBytes: settings.websocket.transportLimitBytes,
      answerLimitMs: settings.admin.callTimeoutMs + settings.redis.commandTimeoutMs + 1000,
    },
  );
}

function serveOperations(parts: AdminParts): void {
  const { settings, logger, control, registry, topics, presence, sessions, replicaId } = parts;
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
    topics,
    sessions,
  }).serve(cluster);
  new TopicOperations({ activeTopics: () => topics.activeTopics() }).serve(cluster);
  new ActorOperations({
    replicaId,
    supervisor: supervision.supervisor,
    actors: () => topics.publisher.health(),
  }).serve(cluster);
  new TraceOperations(tracing.tracer.ring).serve(cluster);
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

function adminRoutes(parts: AdminParts, audit: AuditLog): readonly AdminRoute[] {
  const { settings, storage, logger, control, supervision, tracing, tokens, replicaId } = parts;
  const { cluster, state } = control;
  const now = Date.now;
  const routes: readonly AdminRoute[] = [
    ...clusterRoutes({
      cluster,
      control: state,
      audit,
      settings: () => publicSettings(settings),
      routes: () => routes,
      version,
    }),
    ...controlRoutes({ control: state, logFilter: () => logger.directives, now }),
    ...notificationRoutes({ cluster, now }),
    ...connectionRoutes({ cluster }),
    ...topicRoutes({ cluster, broker: storage.broker, control: state }),
    ...inboxRoutes({ broker: storage.broker }),
    ...actorRoutes({ cluster, alerts: supervision.alerts }),
    ...traceRoutes({ cluster, rules: tracing.rules, now }),
    ...sessionRoutes({
      store: storage.sessions,
      pool: supervision.pool,
      replicaId,
      now,
      log: logger.log('sessions'),
    }),
    ...tokenRoutes({
      issuer: tokens.issuer,
      verifier: tokens.verifier,
      revocations: tokens.revocations,
      now,
    }),
  ];
  return routes;
}
