import { z } from 'zod';
import { adminRoute, type AdminRoute } from '../admin-route.js';
import type { ClusterOperations } from '../cluster-operations.js';
import { limitField, unresponsiveField, userParam } from '../schemas.js';
import { refusalsOfUser } from './refusal-operations.js';

/** Why a client does not get on. */
export function refusalRoutes({ cluster }: { readonly cluster: ClusterOperations }): readonly AdminRoute[] {
  return [
    adminRoute({
      method: 'get',
      path: '/users/:id/refusals',
      role: 'viewer',
      summary:
        'The last refused commands of a user, the newest first; equal ones that followed each other are one, with a count.',
      params: userParam,
      query: z.strictObject({ limit: limitField(20, 100) }),
      answer: z.object({
        user_id: z.string(),
        refusals: z.array(
          z.object({
            at: z.number().describe('Of the last one, in milliseconds since 1970.'),
            count: z.int(),
            command: z.string(),
            code: z.string(),
            topic: z.string().optional(),
            connection_id: z.string().describe('`http`: a request of the HTTP API.'),
            replica_id: z.string(),
          }),
        ),
        silent_replicas: unresponsiveField,
      }),
      run: async ({ params: { id }, query: { limit } }) => {
        const { answers, unresponsive } = await cluster.ask(refusalsOfUser, { userId: id });
        const refusals = answers
          .flatMap(({ replica, answer }) => answer.map((refusal) => ({ ...refusal, replica_id: replica })))
          .sort((one, other) => other.at - one.at)
          .slice(0, limit);
        return { user_id: id, refusals, silent_replicas: unresponsive };
      },
    }),
  ];
}
