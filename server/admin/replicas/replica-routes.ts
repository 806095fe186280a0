import { z } from 'zod';
import { RefusalError } from '../../../shared/errors.js';
import { nameField } from '../../protocol/name.js';
import { adminRoute, type AdminRoute } from '../admin-route.js';
import type { ClusterOperations } from '../cluster-operations.js';
import { replicaMetrics } from '../cluster/replica-metrics.js';
import { reasonBody, unresponsiveField } from '../schemas.js';
import { drainReplica } from './replica-operations.js';

interface ReplicaRouteDependencies {
  readonly cluster: ClusterOperations;
}

const replicaSchema = z.object({
  replica_id: z.string(),
  phase: z.string().describe('starting, running or draining; unknown of a replica of an older version.'),
  uptime_secs: z.int(),
  active_connections: z.int(),
  drain: z
    .object({ moved: z.int(), forced: z.int(), remaining: z.int() })
    .nullable()
    .describe(
      'Clients that were moved, that were cut off, and that are still to be moved; null: it does not drain.',
    ),
});

/** The replicas, and how one is taken out of service. */
export function replicaRoutes({ cluster }: ReplicaRouteDependencies): readonly AdminRoute[] {
  return [
    adminRoute({
      method: 'get',
      path: '/replicas',
      role: 'viewer',
      summary: 'The live replicas, and how far those are that drain.',
      answer: z.object({ replicas: z.array(replicaSchema), silent_replicas: unresponsiveField }),
      run: async () => {
        const { answers, unresponsive } = await cluster.ask(replicaMetrics, null);
        const replicas = answers.map(
          ({ answer: { replica_id, uptime_secs, active_connections, ...document } }) => {
            // A replica of an older version sends neither.
            const { phase = 'unknown', drain } = document as Partial<typeof document>;
            const { moved = 0, forced = 0, remaining = 0 } = drain ?? {};
            const drains = drain !== undefined && drain.step !== 'none';
            const counts = drains ? { moved, forced, remaining } : null;
            return { replica_id, phase, uptime_secs, active_connections, drain: counts };
          },
        );
        replicas.sort((one, other) => (one.replica_id < other.replica_id ? -1 : 1));
        return { replicas, silent_replicas: unresponsive };
      },
    }),
    adminRoute({
      method: 'post',
      path: '/replicas/:id/drain',
      role: 'admin',
      summary:
        'Takes a replica out of service, as SIGTERM does: it refuses new clients, moves its clients to other replicas, and ends.',
      params: z.object({ id: nameField(200).describe('replica_id, as GET /admin/replicas lists it.') }),
      body: reasonBody,
      answer: z.object({
        replica_id: z.string(),
        already_draining: z.boolean(),
        clients: z.int().describe('Clients that are to be moved.'),
        ends_within_secs: z.number().describe('The process ends within this time.'),
      }),
      worksWithoutStore: true,
      run: async ({ params: { id } }) => {
        const answers = await cluster.askReplica(drainReplica, id, null);
        if (answers.length === 0)
          throw new RefusalError('not_found', `there is no live replica ${JSON.stringify(id)}`);
        const answer = answers.find(({ result }) => result !== undefined)?.result;
        if (answer === undefined) {
          const { message } = answers[0]!.error!;
          throw new RefusalError('timeout', `the replica may drain or not: ${message}`, {
            retryAfterMs: 1000,
          });
        }
        const { isNew, clients, ends_within_secs } = answer;
        return { replica_id: id, already_draining: !isNew, clients, ends_within_secs };
      },
    }),
  ];
}
