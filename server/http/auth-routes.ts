import { Router } from 'express';
import { z } from 'zod';
import type { RefreshService } from '../auth/refresh-service.js';
import type { TokenPair } from '../auth/token-issuer.js';
import { jsonBody } from './json-body.js';
import { parseRequest } from '../protocol/parse-request.js';

const schema = z.strictObject({ refresh_token: z.string().min(1).max(16_384) });

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
export function authRouter(refreshes: RefreshService, now: () => number): Router {
  const router = Router();
  router.post('/auth/refresh', jsonBody(65_536), async (request, response) => {
    const { refresh_token: token } = parseRequest(schema, request.body ?? {});
    const pair = await refreshes.refresh(token);
    response.set('Cache-Control', 'no-store').json(pairAnswer(pair, now()));
  });
  return router;
}
