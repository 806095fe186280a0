import { Router, type Request } from 'express';
import { z } from 'zod';
import type { RefreshService } from '../auth/refresh-service.js';
import type { TokenPair } from '../auth/token-issuer.js';
import { addressCaller } from '../limits/address-limiter.js';
import type { BodyBudget } from '../limits/body-budget.js';
import { parseRequest } from '../protocol/parse-request.js';
import { otherMethods } from './other-methods.js';
import { requestBody } from './request-body.js';

/** The path of the route under `/api`. */
export const refreshPath = '/auth/refresh';

/** The body of its requests. */
export const refreshBody = z.strictObject({ refresh_token: z.string().min(1).max(16_384) });

/** The body of a caller who is not known yet: a token and its envelope. */
export const refreshBodyLimitBytes = 20_000;

interface AuthRouterDependencies {
  readonly refreshes: RefreshService;
  readonly addressOf: (request: Request) => string;
  readonly bodies: Pick<BodyBudget, 'open'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * A pair in the form of an answer, with the names of OAuth 2 (RFC 6749, section 5.1); `…_at` are milliseconds
 * since 1970.
 */
export function pairAnswer(pair: TokenPair, now: number) {
  return {
    access_token: pair.accessToken,
    token_type: 'Bearer' as const,
    expires_in: pair.accessExpiresAt - Math.floor(now / 1000),
    expires_at: pair.accessExpiresAt * 1000,
    refresh_token: pair.refreshToken,
    refresh_expires_at: pair.refreshExpiresAt * 1000,
  };
}

/** `POST /api/auth/refresh`: a new pair of tokens for a refresh token, which can be used once. */
export function authRouter({ refreshes, addressOf, bodies, now }: AuthRouterDependencies): Router {
  const router = Router();
  const readBody = requestBody(
    { bodies, callerOf: (request: Request) => addressCaller(addressOf(request)) },
    { limitBytes: refreshBodyLimitBytes },
  );
  const path = router.route(refreshPath);
  path.post(readBody, async (request, response) => {
    const { refresh_token: token } = parseRequest(refreshBody, request.body ?? {});
    const pair = await refreshes.refresh(token);
    response.set('Cache-Control', 'no-store').json(pairAnswer(pair, now()));
  });
  path.all(otherMethods('POST'));
  return router;
}
