import { Router, type RequestHandler } from 'express';
import type { Metrics } from '../metrics/metrics.js';
import { otherMethods } from './other-methods.js';
import { SharedAnswer } from './shared-answer.js';

/**
 * `/metrics`: JSON, or Prometheus text for clients that prefer it.
 *
 * @param access refuses callers who may not read it
 */
export function metricsRouter(metrics: Metrics, access: RequestHandler): Router {
  const router = Router();
  const text = new SharedAnswer(() => metrics.prometheus());
  const json = new SharedAnswer(() => JSON.stringify(metrics.document()));
  router.get('/metrics', access, async (request, response) => {
    if (prefersText(request.get('accept'))) {
      response.type('text/plain; version=0.0.4; charset=utf-8').send(await text.for(request));
      return;
    }
    response.type('json').send(await json.for(request));
  });
  router.all('/metrics', otherMethods('GET'));
  return router;
}

/**
 * Scrapers request plain text or OpenMetrics, never JSON. Their types have parameters (`version`, `escaping`)
 * that change between releases, and the content negotiation of express does not match types with other
 * parameters.
 */
function prefersText(accept = ''): boolean {
  return /text\/plain|application\/openmetrics-text/i.test(accept) && !/application\/json/i.test(accept);
}
