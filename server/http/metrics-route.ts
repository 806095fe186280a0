import { Router } from 'express';
import type { Metrics } from '../telemetry/metrics.js';

/** `/metrics`: JSON, or Prometheus text for whoever prefers it. */
export function metricsRouter(metrics: Metrics): Router {
  const router = Router();
  router.get('/metrics', async (request, response) => {
    const prefersText = request.accepts(['application/json', 'text/plain', 'application/openmetrics-text']);
    if (prefersText === 'application/json' || prefersText === false) {
      response.json(metrics.document());
      return;
    }
    response.type('text/plain; version=0.0.4').send(await metrics.prometheus());
  });
  return router;
}
