import { z } from 'zod';
import { RefusalError } from '../../../shared/errors.js';
import type { Alerts } from '../../supervision/alerts.js';
import { nameField } from '../../protocol/name.js';
import type { ClusterOperations } from '../cluster-operations.js';
import { adminRoute, type AdminRoute } from '../admin-route.js';
import { listRequest, mergePages } from '../list-page.js';
import {
  cursorAnswer,
  cursorField,
  limitField,
  reasonBody,
  truncatedAnswer,
  unresponsiveField,
} from '../schemas.js';
import { actorOrder, listActors, restartActor } from './actor-operations.js';

interface ActorRouteDependencies {
  readonly cluster: ClusterOperations;
  readonly alerts: Alerts;
}

const states = ['running', 'restarting', 'stopped'] as const;

const actorSchema = z.object({
  actor_id: z
    .string()
    .describe(
      'topic:<name>; hook:<name> of a hook that has failed; worker:hooks/<number> of a thread for hooks.module.',
    ),
  replica_id: z.string(),
  state: z.enum(states),
  mailbox_size: z.int(),
  processing_ms: z.number().describe('Mean time of a batch, weighted towards the latest ones.'),
  processed: z.int(),
  failed: z.int(),
  error_rate: z.number().describe('Share of the publishes of the last minute that failed, 0 to 1.'),
  restart_count: z.int(),
  last_error: z.string().nullable(),
});

const alertSchema = z.object({
  id: z.string(),
  at: z.number().describe('Milliseconds since 1970.'),
  severity: z.enum(['info', 'warning', 'critical']),
  kind: z.string(),
  message: z.string(),
  replica_id: z.string(),
  details: z.record(z.string(), z.unknown()),
});

/** Actors and their health, manual restarts, and alerts. */
export function actorRoutes(
  { cluster, alerts }: ActorRouteDependencies,
  { answerBytes }: { readonly answerBytes: number },
): readonly AdminRoute[] {
  return [
    adminRoute({
      method: 'get',
      path: '/actors',
      role: 'viewer',
      summary:
        'Actors of all replicas: stopped and restarting ones first, then those with the longest mailboxes.',
      query: z.strictObject({
        prefix: z.string().optional().describe('Prefix of the actor id, for example topic:news.'),
        state: z.enum(states).optional(),
        limit: limitField(100, 10_000),
        cursor: cursorField,
      }),
      answer: z.object({
        actors: z.array(actorSchema),
        total: z.int().describe('Number of all actors, also those past the limit.'),
        truncated: truncatedAnswer,
        cursor: cursorAnswer,
        silent_replicas: unresponsiveField,
      }),
      run: async ({ query: { prefix, state, ...asked } }) => {
        const page = listRequest(asked, answerBytes);
        const { answers, unresponsive } = await cluster.ask(listActors, { prefix, state, ...page });
        const found = answers.map(({ answer }) => answer);
        const { items, truncated, cursor } = mergePages(found, page, actorOrder);
        const total = found.reduce((sum, answer) => sum + answer.total, 0);
        return { actors: items, total, truncated, cursor, silent_replicas: unresponsive };
      },
    }),
    adminRoute({
      method: 'post',
      path: '/actors/:id/restart',
      role: 'operator',
      summary: 'Restart a failed actor on all replicas; its earlier failures no longer count.',
      params: z.object({ id: nameField(500).describe('Encoded: topic%3Anews.') }),
      body: reasonBody,
      answer: z.object({
        restarted: z.array(z.string()).describe('Replicas on which it had failed and was restarted.'),
        silent_replicas: unresponsiveField,
      }),
      run: async ({ params: { id } }) => {
        const { answers, unresponsive } = await cluster.ask(restartActor, { id });
        if (unresponsive.length === 0 && !answers.some(({ answer }) => answer.known))
          throw new RefusalError('not_found', `there is no actor ${id.slice(0, 220)}`);
        return {
          restarted: answers.filter(({ answer }) => answer.restarted).map(({ replica }) => replica),
          silent_replicas: unresponsive,
        };
      },
    }),
    adminRoute({
      method: 'get',
      path: '/alerts',
      role: 'viewer',
      summary: 'Alerts of all replicas, the newest first; while Redis is unreachable, those of this replica.',
      query: z.strictObject({ limit: limitField(100, 1000) }),
      answer: z.object({ alerts: z.array(alertSchema) }),
      run: async ({ query }) => ({ alerts: await alerts.latest(query.limit) }),
    }),
    adminRoute({
      method: 'post',
      path: '/alerts/test',
      role: 'operator',
      summary: 'Raise an alert of kind test, to check its delivery.',
      body: reasonBody,
      answer: alertSchema,
      run: ({ caller }) => alerts.raise('info', 'test', `A test by ${caller.identity.userId}.`),
    }),
  ];
}
