import type { RequestHandler } from 'express';

/**
 * Headers of every answer of some paths, refusals too: browsers must not take them for a script or a page, and caches between must not keep what
 * a token has opened. A route may set another `Cache-Control`.
 */
export function answerHeaders(cacheControl: 'no-store' | 'private, no-cache'): RequestHandler {
  return (_request, response, next) => {
    response.set({ 'X-Content-Type-Options': 'nosniff', 'Cache-Control': cacheControl });
    next();
  };
}
