import cors from 'cors';
import type { RequestHandler } from 'express';
import { allowedOrigins } from '../config/origins.js';

/** Headers of answers that a page may read. */
const exposedHeaders = ['Retry-After', 'RateLimit', 'RateLimit-Policy', 'WWW-Authenticate', 'Allow'];

/** How long a browser may remember that a request is allowed, in seconds. */
const preflightSecs = 600;

/**
 * Lets pages of the allowed origins send requests and read the answers, refusals too (CORS). It comes before everything that may refuse.
 * Pages of other origins get no such headers, so that their browser tells them nothing.
 */
export function crossOrigin(written: readonly string[]): RequestHandler {
  const origins = allowedOrigins(written);
  return cors({
    origin: origins === '*' ? '*' : [...origins],
    // With any origin allowed, pages may not send cookies along: no page of a stranger acts in the name of its visitor.
    credentials: origins !== '*',
    methods: ['GET', 'HEAD', 'POST'],
    exposedHeaders,
    maxAge: preflightSecs,
  });
}
