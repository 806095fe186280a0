import type { Request, RequestHandler } from 'express';
import {
  ipKeyGenerator,
  rateLimit,
  type ClientRateLimitInfo,
  type Options,
  type RateLimitInfo,
  type Store,
} from 'express-rate-limit';
import { RefusalError } from '../../shared/errors.js';
import type { Identity } from '../protocol/identity.js';
import { systemClock } from '../primitives/clock.js';
import { withTimeout } from '../primitives/with-timeout.js';
import type { LimitCounts } from '../limits/limit-counts.js';
import type { Log } from '../logging/log.js';
import { bearerOf } from './api.js';
import { sendError } from './errors.js';
import { ReplicaRateStore } from './replica-rate-store.js';

interface HttpRateLimitDependencies {
  readonly authenticate: (token: string) => Identity;
  readonly addressOf: (request: Request) => string;
  /** Counts for all replicas; undefined: this replica counts only its own requests. */
  readonly store: Store | undefined;
  readonly counts: LimitCounts;
  readonly log: Log;
}

interface HttpRateLimitSettings {
  /** Requests per caller and window; 0 for no limit. */
  readonly requests: number;
  readonly windowMs: number;
  /**
   * Requests of a caller who is not one of those the routes are for; default: as many. Undefined as identity: a caller without a
   * valid token.
   */
  readonly requestsOf?: (identity: Identity | undefined) => number;
}

const storeLimitMs = 500;

/**
 * Limits the requests of a caller: the user of a valid token, or else the address (IPv6 by /56). Every answer
 * has `RateLimit` headers (draft 7 of the IETF) with the remaining number; above the limit it is 429 with
 * `Retry-After`. While Redis is unreachable, all requests pass.
 */
export function httpRateLimit(
  { authenticate, addressOf, store, counts, log }: HttpRateLimitDependencies,
  { requests, windowMs, requestsOf = () => requests }: HttpRateLimitSettings,
): RequestHandler {
  if (requests === 0) return (_request, _response, next) => next();
  const identities = new WeakMap<Request, Identity>();
  const keyOf = (request: Request) => {
    const identity = identityOf(request, authenticate);
    if (identity === undefined) return `address:${ipKeyGenerator(addressOf(request))}`;
    identities.set(request, identity);
    return `user:${identity.userId}`;
  };
  return rateLimit({
    windowMs,
    limit: (request) => requestsOf(identities.get(request)),
    standardHeaders: 'draft-7',
    legacyHeaders: false,
    store: store === undefined ? new ReplicaRateStore(systemClock) : new PassingStore(store, { counts, log }),
    keyGenerator: keyOf,
    handler: (request, response) => {
      counts.http++;
      const { key, limit, used, resetTime } = (request as Request & { rateLimit: RateLimitInfo }).rateLimit;
      if (used === limit + 1) log.warn('Requests limited', { path: request.baseUrl, caller: key, limit });
      const retryAfterMs = Math.max(1, (resetTime?.getTime() ?? Date.now() + windowMs) - Date.now());
      const message = `more than ${limit} requests in ${Math.round(windowMs / 1000)} seconds`;
      sendError(response, new RefusalError('rate_limited', message, { retryAfterMs, limit }).toWire());
    },
  });
}

function identityOf(request: Request, authenticate: (token: string) => Identity): Identity | undefined {
  try {
    return authenticate(bearerOf(request));
  } catch {
    return undefined;
  }
}

/**
 * Lets requests pass while the store is unreachable: `/api` must not fail because requests cannot be counted.
 */
class PassingStore implements Store {
  private windowMs = 0;

  constructor(
    private readonly store: Store,
    private readonly dependencies: { readonly counts: LimitCounts; readonly log: Log },
  ) {}

  init(options: Options): void {
    this.windowMs = options.windowMs;
    void this.store.init?.(options);
  }

  async increment(key: string): Promise<ClientRateLimitInfo> {
    try {
      return await withTimeout(Promise.resolve(this.store.increment(key)), storeLimitMs);
    } catch (error) {
      this.dependencies.counts.localFallbacks++;
      this.dependencies.log.debug('Request passes without being counted', { error });
      return { totalHits: 1, resetTime: new Date(Date.now() + this.windowMs) };
    }
  }

  async decrement(key: string): Promise<void> {
    await this.store.decrement(key);
  }

  async resetKey(key: string): Promise<void> {
    await this.store.resetKey(key);
  }
}
