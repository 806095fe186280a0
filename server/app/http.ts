import type { IncomingMessage } from 'node:http';
import type { Express, Router } from 'express';
import type { Identity } from '../protocol/identity.js';
import type { Storage } from '../storage/storage.js';
import type { CommandRouter } from '../commands/router.js';
import type { Settings } from '../config/schema.js';
import { apiRouter } from '../http/api.js';
import { authRouter } from '../http/auth-routes.js';
import { errorHandler, notFound } from '../http/errors.js';
import { healthRouter, type HealthSources } from '../http/health.js';
import { metricsRouter } from '../http/metrics-route.js';
import { httpRateLimit } from '../http/rate-limit.js';
import type { LogFactory } from '../logging/log.js';
import type { Metrics } from '../metrics/metrics.js';
import type { Limits } from './limits.js';
import type { Tokens } from './tokens.js';

/** Parts that the HTTP routes need. */
interface HttpParts {
  readonly settings: Settings;
  readonly storage: Storage;
  readonly health: HealthSources;
  readonly metrics: Metrics;
  readonly limits: Limits;
  readonly tokens: Tokens;
  readonly router: CommandRouter;
  readonly authenticate: (token: string) => Identity;
  readonly addressOf: (request: IncomingMessage) => string;
  /** The routes under `/admin`. */
  readonly admin: Router;
  readonly logOf: LogFactory;
}

/** Puts the HTTP routes together: health, metrics, `/api`, `/admin`. */
export function assembleHttp(app: Express, parts: HttpParts): void {
  const { settings, storage, metrics, limits, tokens, router, authenticate, addressOf, logOf } = parts;
  app.use(healthRouter(parts.health));
  app.use(metricsRouter(metrics));
  app.use(
    '/api',
    httpRateLimit(
      { authenticate, addressOf, store: storage.httpRates, counts: limits.counts, log: logOf('limits') },
      { requests: settings.limits.httpRequests, windowMs: settings.limits.httpWindowSecs * 1000 },
    ),
    authRouter(tokens.refreshes, Date.now),
    apiRouter(
      { router, authenticate, addressOf },
      { bodyLimitBytes: settings.websocket.transportLimitBytes },
    ),
  );
  app.use('/admin', parts.admin);
  app.use(notFound);
  app.use(errorHandler(logOf('http')));
}
