import type { Express, Router } from 'express';
import { version } from '../../shared/version.js';
import { apiRouter } from '../http/api.js';
import { authRouter } from '../http/auth-routes.js';
import { errorHandler, notFound } from '../http/errors.js';
import { healthRouter } from '../http/health.js';
import { metricsRouter } from '../http/metrics-route.js';
import { httpRateLimit } from '../http/rate-limit.js';
import type { Foundation } from './foundation.js';
import type { Messaging } from './messaging.js';

interface HttpParts extends Foundation, Messaging {
  readonly phase: () => 'starting' | 'running' | 'draining';
  /** On the monotonic clock, in milliseconds. */
  readonly startedAt: number;
  /** The routes under `/admin`. */
  readonly admin: Router;
}

/**
 * Assembles the HTTP routes: health, metrics, `/api`, `/admin`. Returns a function that adds the response to
 * all other paths. It must be called after an embedding program has added its own routes.
 */
export function assembleHttp(app: Express, parts: HttpParts): () => void {
  const { settings, storage, metrics, limits, tokens, router, control, registry, logOf } = parts;
  const { authenticate } = tokens;
  const addressOf = parts.addresses.of;
  app.use(
    healthRouter({
      replicaId: parts.replicaId,
      version,
      uptimeSecs: () => Math.round((performance.now() - parts.startedAt) / 1000),
      connections: () => registry.size,
      redis: () => storage.redis(),
      phase: parts.phase,
      control: () => control.state.snapshot(),
    }),
  );
  app.use(metricsRouter(metrics));
  app.use(
    '/api',
    httpRateLimit(
      { authenticate, addressOf, store: storage.httpRates, counts: limits.counts, log: logOf('limits') },
      { requests: settings.limits.httpRequests, windowMs: settings.limits.httpWindowSecs * 1000 },
    ),
    authRouter({ refreshes: tokens.refreshes, addressOf, bodies: limits.bodies, now: Date.now }),
    apiRouter(
      { router, authenticate, addressOf, bodies: limits.bodies },
      { bodyLimitBytes: settings.websocket.transportLimitBytes },
    ),
  );
  app.use('/admin', parts.admin);
  return () => {
    app.use(notFound);
    app.use(errorHandler(logOf('http')));
  };
}
