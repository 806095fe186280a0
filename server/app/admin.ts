import type { IncomingMessage } from 'node:http';
import type { Router } from 'express';
import type { Alert } from '../supervision/alerts.js';
import type { Identity } from '../protocol/identity.js';
import type { Storage } from '../storage/storage.js';
import { publicSettings } from '../config/describe.js';
import type { Settings } from '../config/schema.js';
import { announcementOf } from '../control/announcements.js';
import { ControlState, type ControlChange } from '../control/control-state.js';
import { actorRoutes } from '../admin/actors/actor-routes.js';
import { adminRoles, type AdminRoute } from '../admin/admin-route.js';
import { AuditLog } from '../admin/audit-log.js';
import { clusterRoutes } from '../admin/cluster/cluster-routes.js';
import { connectionRoutes } from '../admin/connections/connection-routes.js';
import { emergencyRoutes } from '../admin/control/control-routes.js';
import { adminRouter } from '../admin/admin-router.js';
import { sessionRoutes } from '../admin/sessions/session-routes.js';
import { topicRoutes } from '../admin/topics/topic-routes.js';
import { traceRoutes } from '../admin/traces/trace-routes.js';
import { ActorOperations } from '../admin/actors/actor-operations.js';
import { ClusterOperations } from '../admin/cluster-operations.js';
import { ReplicaOperations } from '../admin/replica-operations.js';
import { TraceOperations } from '../admin/traces/trace-operations.js';
import type { PresenceService } from '../presence/presence-service.js';
import { ReplicaCalls } from '../cluster/replica-calls.js';
import { ReplicatedMap } from '../cluster/replicated-map.js';
import type { SessionService } from '../sessions/session-service.js';
import type { LoggerFactory } from '../logging/logger.js';
import type { Metrics } from '../metrics/metrics.js';
import type { TopicHub } from '../topics/topic-hub.js';
import type { ConnectionRegistry } from '../gateway/connection-registry.js';
import { version } from '../../shared/version.js';
import type { Supervision } from './supervision.js';
import type { Tracing } from './tracing.js';

export interface ControlParts {
  readonly settings: Settings;
  readonly storage: Storage;
  readonly logger: LoggerFactory;
}

/** What operators have switched, shared by all replicas; and the way to ask the others. */
export interface Control {
  readonly map: ReplicatedMap;
  readonly state: ControlState;
  readonly calls: ReplicaCalls;
  readonly cluster: ClusterOperations;
}

/** Other replicas hear of a change by message; one that did not finds it within this time, in milliseconds. */
const controlCheckMs = 500;

export function assembleControl({ settings, storage, logger }: ControlParts): Control {
  const { shared: store, bus } = storage;
  const map = new ReplicatedMap(
    { store, bus, log: logger.log('emergency') },
    { name: 'control', checkMs: controlCheckMs },
  );
  storage.onUp(() => void map.read());
  const calls = new ReplicaCalls(bus, { timeoutMs: settings.admin.callTimeoutMs });
  const cluster = new ClusterOperations(calls);
  return { map, state: new ControlState(map, { rates: settings.limits }), calls, cluster };
}

/** Tells the operators who are connected, on whichever replica, of an alert. */
export function alertNotifier({ cluster }: Pick<Control, 'cluster'>): (alert: Alert) => void {
  return ({ severity, message, at }) => {
    const level = severity === 'critical' ? 'error' : severity;
    const notification = { level, message, timestamp: at, kind: 'alert' } as const;
    void cluster.ask('notify', { notification, roles: adminRoles });
  };
}

export interface OperationParts extends ControlParts {
  readonly replicaId: string;
  readonly control: Control;
  readonly registry: ConnectionRegistry;
  readonly topics: TopicHub;
  readonly presence: PresenceService;
  readonly metrics: Metrics;
  readonly supervision: Supervision;
  readonly tracing: Tracing;
  readonly authenticate: (token: string) => Identity;
  readonly addressOf: (request: IncomingMessage) => string;
  readonly sessions: SessionService;
  /** Routes of other parts. */
  readonly moreRoutes: readonly AdminRoute[];
}

/** Puts together what operators see and do: answers to the other replicas, effects of switches, `/admin`. */
export function assembleOperations(parts: OperationParts): Router {
  const { settings, storage, logger, control, registry, topics, metrics, replicaId, supervision, tracing } =
    parts;
  const { calls, cluster } = control;
  const now = Date.now;
  const replica = new ReplicaOperations({
    replicaId,
    connections: () => registry.all(),
    connection: (id) => registry.connection(id),
    topics,
    sessions: parts.sessions,
    metrics: () => metrics.document(),
  });
  replica.serve(calls);
  new ActorOperations({
    replicaId,
    supervisor: supervision.supervisor,
    actors: () => topics.publisher.health(),
  }).serve(calls);
  new TraceOperations(tracing.tracer.ring).serve(calls);
  followControl(parts, replica, now);

  const audit = new AuditLog(
    { store: storage.shared, log: logger.log('audit'), replicaId, now },
    { size: settings.admin.auditSize },
  );
  storage.onUp(() => void audit.store());
  const routes: readonly AdminRoute[] = [
    ...clusterRoutes({
      cluster,
      control: control.state,
      audit,
      settings: () => publicSettings(settings),
      routes: () => routes,
      version,
    }),
    ...emergencyRoutes({ control: control.state, cluster, logFilter: () => logger.directives, now }),
    ...connectionRoutes({ cluster }),
    ...topicRoutes({ cluster, broker: storage.broker, control: control.state }),
    ...actorRoutes({ cluster, alerts: supervision.alerts }),
    ...traceRoutes({ cluster, rules: tracing.rules, now }),
    ...sessionRoutes({
      store: storage.sessions,
      pool: supervision.pool,
      replicaId,
      now,
      log: logger.log('sessions'),
    }),
    ...parts.moreRoutes,
  ];
  return adminRouter(
    {
      routes,
      authenticate: parts.authenticate,
      addressOf: parts.addressOf,
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

/** Lets switches take effect on this replica, and tells its clients. */
function followControl(
  { settings, logger, control, presence }: OperationParts,
  replica: ReplicaOperations,
  now: () => number,
): void {
  const log = logger.log('emergency');
  const follow = (change: ControlChange) => {
    const { kind, ...details } = change;
    log.warn('Switched by an operator', { kind, ...details });
    if (change.kind === 'presence') presence.setShed(change.shed);
    if (change.kind === 'log_filter') logger.setFilter(change.filter ?? settings.logging.level);
    const notification = announcementOf(change, now());
    if (notification === undefined) return;
    replica.notify({ notification, ...(change.kind === 'topic' && { topic: change.topic }) });
  };
  control.state.onChange(follow);
}
