import type { Server as HttpServer } from 'node:http';
import type { Express, Router } from 'express';
import { version } from '../../shared/version.js';
import { adminRoles, hasRole } from '../admin/admin-route.js';
import { serveConsole } from '../admin/console/console-files.js';
import { uiPage } from '../admin/socket-io-ui/ui-page.js';
import { answerHeaders } from '../http/answer-headers.js';
import { apiRouter } from '../http/api.js';
import { hasGone, judgeAccepted } from '../gateway/engine-internals/accepted-connections.js';
import { readInTurns } from '../gateway/engine-internals/new-connections.js';
import { holdReading, startReading } from '../gateway/engine-internals/reading.js';
import { watchHeads } from '../gateway/engine-internals/request-heads.js';
import { countPieces, takeNothingMore } from '../gateway/engine-internals/request-parser.js';
import { ConnectionTurns } from '../gateway/handshake/connection-turns.js';
import type { TcpConnections } from '../gateway/handshake/tcp-connections.js';
import type { BoundedResponses } from '../http/bounded-responses.js';
import { authRouter } from '../http/auth-routes.js';
import { crossOrigin } from '../http/cross-origin.js';
import { errorHandler, notFound } from '../http/errors.js';
import { healthRouter, type HealthSources } from '../http/health.js';
import { metricsAccess } from '../http/metrics-access.js';
import { metricsRouter } from '../http/metrics-route.js';
import { httpRateLimit } from '../http/rate-limit.js';
import { guardRequests } from '../http/request-guard.js';
import { RequestTurns } from '../http/request-turns.js';
import { addressCaller, keyOf } from '../limits/address-limiter.js';
import { routedPath } from '../http/routed-path.js';
import { systemClock } from '../primitives/clock.js';
import { apiDocument } from '../http/openapi/api-document.js';
import { firstStepsRouter } from '../http/pages/first-steps.js';
import { upgradeRequired } from '../http/upgrade-required.js';
import { wsPath } from '../gateway/paths.js';
import { firstStepsFolder } from './first-steps.js';
import { knowsSwitches, type Foundation } from './foundation.js';
import type { Messaging } from './messaging.js';

interface HttpParts extends Foundation, Messaging {
  readonly phase: HealthSources['phase'];
  readonly drain: HealthSources['drain'];
  /** On the monotonic clock, in milliseconds. */
  readonly startedAt: number;
  /** The routes under `/admin`. */
  readonly admin: Router;
  readonly responses: BoundedResponses;
  /** False: the program serves requests, and the app is one of its routes. */
  readonly ownsRequests: boolean;
  readonly hasSocketIoUi: boolean;
}

/**
 * Assembles the HTTP routes: health, metrics, `/api`, `/admin`. Returns a function that adds the response to
 * errors and to all other paths. It must be called after an embedding program has added its own routes.
 */
export function assembleHttp(app: Express, parts: HttpParts): () => void {
  const { settings, storage, metrics, limits, tokens, router, control, registry, logOf } = parts;
  const { authenticate } = tokens;
  const addressOf = parts.addresses.of;
  app.use(['/health', '/metrics', '/admin'], answerHeaders('no-store'));
  // A client may ask again with its `ETag`.
  app.use('/api', answerHeaders('private, no-cache'));
  app.use(
    healthRouter({
      replicaId: parts.replicaId,
      version,
      uptimeSecs: () => Math.round((performance.now() - parts.startedAt) / 1000),
      connections: () => registry.size,
      redis: () => storage.redis(),
      readiness: settings.redis.readiness,
      phase: parts.phase,
      drain: parts.drain,
      knowsSwitches: () => knowsSwitches(parts),
      control: () => control.state.snapshot(),
    }),
  );
  const access = metricsAccess(
    { authenticate, addressOf },
    { access: settings.server.metricsAccess, roles: adminRoles },
  );
  app.use(metricsRouter(metrics, access));
  const bodyLimitBytes = Math.min(settings.websocket.transportLimitBytes, parts.sizes.withPayload);
  app.all(wsPath, upgradeRequired);
  app.use(
    '/api',
    crossOrigin(settings.websocket.allowedOrigins),
    httpRateLimit(
      { authenticate, addressOf, store: storage.httpRates, counts: limits.counts, log: logOf('limits') },
      { requests: settings.limits.httpRequests, windowMs: settings.limits.httpWindowSecs * 1000 },
    ),
    authRouter({ refreshes: tokens.refreshes, addressOf, bodies: limits.bodies, now: Date.now }),
    apiRouter(
      {
        router,
        authenticate,
        checkRevoked: (identity) => tokens.checkRevoked(identity),
        addressOf,
        bodies: limits.bodies,
        responses: parts.responses,
        document: () =>
          apiDocument({ schemaOf: (command) => router.schemaOf(command) }, { version, bodyLimitBytes }),
      },
      { bodyLimitBytes },
    ),
  );
  // Not limited in rate: it costs no more than /health, and operators have to get in while others are too many.
  serveConsole(app);
  const { adminRequests } = settings.limits;
  app.use(
    '/admin',
    httpRateLimit(
      // Counted by this replica alone: strangers cause no work for Redis, and operators get in while it is unreachable.
      { authenticate, addressOf, store: undefined, counts: limits.counts, log: logOf('limits') },
      {
        requests: adminRequests,
        windowMs: settings.limits.httpWindowSecs * 1000,
        requestsOf: (identity) =>
          identity !== undefined && hasRole(identity, 'viewer')
            ? adminRequests
            : Math.ceil(adminRequests / 10),
      },
    ),
  );
  if (parts.hasSocketIoUi) app.use('/admin/socket-io', uiPage());
  app.use('/admin', parts.admin);
  return () => {
    if (parts.ownsRequests) {
      const folder = firstStepsFolder(settings);
      if (folder !== undefined)
        app.use(firstStepsRouter({ issue: tokenForTrying(parts), now: Date.now }, { folder }));
      app.use(notFound);
    }
    app.use(errorHandler(logOf('http')));
  };
}

/** Only where the secret was made for this run. Another secret may be good elsewhere, too. */
function tokenForTrying({ generatedSecret, tokens: { issuer } }: Foundation) {
  if (generatedSecret === undefined || issuer === undefined) return undefined;
  return (userId: string, ttlSecs: number) => issuer.access({ userId, roles: ['user'] }, ttlSecs);
}

/** Paths whose bodies are counted in pieces. A program's own routes may receive what they like. */
const countedPaths = /^\/(?:api|socket\.io|admin)(?:[/?]|$)/;
/** Paths whose bodies are limited in time: those of the service, without backups, which are of any length. */
const timedPaths = /^\/(?:api|socket\.io|admin(?!\/sessions\/restore))(?:[/?]|$)/;

/** Limits connections and requests before any route sees them. To be called when all listeners for requests are attached. */
export function assembleRequestGuard(
  http: HttpServer,
  { settings: { server }, addresses, limits: { bodies } }: Foundation,
  { connections, tcp }: { readonly connections: ConnectionTurns; readonly tcp: TcpConnections },
): void {
  const closed = () => connections.came();
  judgeAccepted(http, { admit: tcp.admit, closed });
  readInTurns(http, {
    closed,
    attached: (socket) => watchHeads(socket, tcp.headHeld),
    run: ({ remoteAddress = '' }, begin) => connections.run(keyOf(remoteAddress), begin),
  });
  const turns = new RequestTurns({ clock: systemClock, connections });
  guardRequests(
    http,
    {
      countPieces,
      takeNothingMore,
      cut: tcp.cut,
      turns,
      reading: { hold: holdReading, start: startReading, hasGone },
      connections,
      bodies,
      callerOf: (request) => addressCaller(addresses.of(request)),
      isForwarded: ({ socket, headers }) =>
        headers['x-forwarded-for'] !== undefined && addresses.isTrusted(socket.remoteAddress ?? ''),
    },
    {
      bodyTimeoutMs: server.bodyTimeoutSecs * 1000,
      isTimed: ({ url }) => timedPaths.test(routedPath(url)),
      isCounted: ({ url }) => countedPaths.test(routedPath(url)),
    },
  );
}
