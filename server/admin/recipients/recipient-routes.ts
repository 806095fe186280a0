import { z } from 'zod';
import { readTopicName } from '../../../shared/topic-name.js';
import { topicField, userIdField } from '../../protocol/request-fields.js';
import { adminRoute, type AdminRoute } from '../admin-route.js';
import { unresponsiveField } from '../schemas.js';
import { RecipientSearch, type RecipientSearchDependencies } from './recipient-search.js';
import { outcomes } from './finding.js';

const uuid = /^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/;

const at = (what: string) => z.number().optional().describe(`${what}, in milliseconds since 1970.`);

const finding = {
  outcome: z.enum(outcomes),
  replica_id: z.string().optional(),
  connection_id: z.string().optional(),
  session_id: z.string().optional(),
  delivered_at: at('When it was passed to the transport, where a trace says so'),
  acknowledged_at: at('When the client acknowledged it'),
  acknowledged_by: at('The receipt was confirmed by a heartbeat, at this time at the latest'),
  paused_from: at('The client read too slowly from this time on'),
  paused_until: z.number().nullable().optional().describe('Until this time; null: it still does.'),
  offline_since: at('The connection ended'),
  reason: z.string().optional(),
};

/** Why a user did or did not get a message. */
export function recipientRoutes(dependencies: RecipientSearchDependencies): readonly AdminRoute[] {
  const search = new RecipientSearch(dependencies);
  return [
    adminRoute({
      method: 'get',
      path: '/messages/:id/recipients/:user',
      role: 'viewer',
      summary:
        'Whether a user got a message, and why not: from its trace, positions, sessions and the inbox. What is not known is not guessed.',
      params: z.object({
        id: z.string().max(36).regex(uuid, 'must be a UUID').describe('Id of the message: a UUID.'),
        user: userIdField,
      }),
      query: z.strictObject({
        topic: topicField.optional().describe('The topic of a message that was not traced.'),
      }),
      answer: z.object({
        message_id: z.string(),
        user_id: z.string(),
        topic: z.string().nullable().describe('Null: a direct message, or not known.'),
        published_at: z.number().describe('Milliseconds since 1970.'),
        ...finding,
        complete: z
          .boolean()
          .describe('False: the user may have had connections of which nothing is known any more.'),
        findings: z
          .array(z.object(finding))
          .describe('What became of it on each connection and in each session.'),
        silent_replicas: unresponsiveField,
      }),
      run: ({ params: { id, user }, query: { topic } }) =>
        search.run(id.toLowerCase(), user, topic === undefined ? undefined : readTopicName(topic, 'topic')),
    }),
  ];
}
