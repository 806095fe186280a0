import { Router } from 'express';
import type { Metrics } from '../metrics/metrics.js';

/** `/metrics`: JSON, or Prometheus text for whoever prefers it. */
export function metricsRouter(metrics: Metrics): Router {
  const router = Router();
  router.get('/metrics', async (request, response) => {
    if (prefersText(request.get('accept'))) {
      response.type('text/plain; version=0.0.4').send(await metrics.prometheus());
      return;
    }
    response.json(metrics.document());
  });
  return router;
}

/**
 * Scrapers ask for plain text or OpenMetrics and never for JSON. Their types carry parameters (`version`, `escaping`) that change from
 * release to release, which express' negotiation takes for other types.
 */
function prefersText(accept = ''): boolean {
  return /text\/plain|application\/openmetrics-text/i.test(accept) && !/application\/json/i.test(accept);
}
