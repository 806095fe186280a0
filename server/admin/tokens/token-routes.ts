import { z } from 'zod';
import { RefusalError } from '../../../shared/errors.js';
import { isTopicPattern, topicNameLimit, topicPatternForm } from '../../../shared/topic-name.js';
import { cannotSign } from '../../auth/refresh-service.js';
import type { Revocations } from '../../auth/revocations.js';
import type { TokenIssuer } from '../../auth/token-issuer.js';
import type { TokenVerifier } from '../../auth/token-verifier.js';
import { nameField, userIdField } from '../../protocol/name.js';
import { pairAnswer } from '../../http/auth-routes.js';
import { pairAnswerSchema } from '../../http/openapi/api-answers.js';
import { adminRoute, type AdminRoute } from '../admin-route.js';
import { reasonField, userParam } from '../schemas.js';

interface TokenRouteDependencies {
  readonly issuer: TokenIssuer | undefined;
  readonly verifier: TokenVerifier;
  readonly revocations: Revocations;
  readonly now: () => number;
}

const revocationSchema = z.object({
  subject: z.string().describe('user:<id>, token:<jti> or family:<id>.'),
  not_before: z.int().optional().describe('Tokens issued before are revoked; seconds since 1970.'),
  until: z.int().describe('Kept until then; seconds since 1970.'),
  reason: z.string().optional(),
});

const name = nameField(200);

/** A topic name, or a pattern of names. */
export const topicPatternField = z
  .string()
  .refine(isTopicPattern, 'must be a topic name or pattern')
  .meta({ minLength: 1, maxLength: topicNameLimit, pattern: topicPatternForm });

/** Tokens: issuing pairs for users, and revocations. */
export function tokenRoutes({
  issuer,
  verifier,
  revocations,
  now,
}: TokenRouteDependencies): readonly AdminRoute[] {
  return [
    adminRoute({
      method: 'post',
      path: '/tokens',
      role: 'admin',
      summary: 'Issue an access token and a refresh token for a user.',
      body: z.strictObject({
        user_id: userIdField,
        roles: z.array(name).max(100).default(['user']),
        topics: z.array(topicPatternField).max(1000).optional(),
        reason: reasonField,
      }),
      answer: pairAnswerSchema,
      run: ({ body: { user_id: userId, roles, topics } }) => {
        if (issuer === undefined) throw cannotSign();
        const pair = issuer.pair({ userId, roles, ...(topics !== undefined && { topics }) });
        return pairAnswer(pair, now());
      },
    }),
    adminRoute({
      method: 'get',
      path: '/tokens/revocations',
      role: 'viewer',
      summary: 'The revocations in force.',
      answer: z.object({ revocations: z.array(revocationSchema) }),
      run: () => ({ revocations: revocations.list() }),
    }),
    adminRoute({
      method: 'post',
      path: '/tokens/revoke',
      role: 'admin',
      summary: 'Revoke one token, given by its id (claim jti) or in full; its connections are closed.',
      body: z
        .strictObject({
          token_id: name.optional(),
          token: z.string().min(1).max(16_384).optional(),
          reason: reasonField,
        })
        .refine(({ token_id: id, token }) => (id === undefined) !== (token === undefined), {
          error: 'give token_id or token',
        }),
      answer: revocationSchema,
      run: async ({ body: { token_id: id, token, reason } }) => {
        if (token === undefined) return revocations.revokeToken(id!, undefined, reason);
        const { tokenId, expiresAt } = verifier.read(token);
        if (tokenId === undefined) {
          throw new RefusalError(
            'invalid_message',
            'the token has no id (claim jti): revoke all tokens of its user',
            {
              field: 'token',
            },
          );
        }
        return revocations.revokeToken(tokenId, expiresAt, reason);
      },
    }),
    adminRoute({
      method: 'post',
      path: '/users/:id/revoke-tokens',
      role: 'admin',
      summary: 'Revoke all tokens that a user was issued up to now, and close the connections.',
      params: userParam,
      body: z.strictObject({ reason: reasonField }),
      answer: revocationSchema,
      run: ({ params: { id }, body }) => revocations.revokeUser(id, body.reason),
    }),
  ];
}
