import { z } from 'zod';
import { inboxOf } from '../../direct/inbox-name.js';
import type { Broker } from '../../log/broker.js';
import { directEntry, entryToMessage, senderOf } from '../../log/entry.js';
import { epochAt } from '../../log/lineage.js';
import { userIdField } from '../../protocol/request-fields.js';
import { adminRoute, type AdminRoute } from '../admin-route.js';
import { limitField, positionSchema, reasonBody, userParam } from '../schemas.js';

interface InboxRouteDependencies {
  readonly broker: Broker;
}

/** Messages read at once in order to find those of one sender. */
const pageSize = 100;

/** Inboxes: the direct messages that wait for a user. */
export function inboxRoutes({ broker }: InboxRouteDependencies): readonly AdminRoute[] {
  return [
    adminRoute({
      method: 'get',
      path: '/users/:id/inbox',
      role: 'operator',
      summary: 'The direct messages that wait for a user, oldest first, with their payloads, page by page.',
      params: userParam,
      query: z.strictObject({
        after: z.coerce.number().int().min(0).default(0).describe('Sequence: `next` of the page before.'),
        limit: limitField(20, 100),
      }),
      answer: z.object({
        user_id: z.string(),
        position: positionSchema,
        messages: z.array(z.looseObject({ id: z.string(), sequence: z.int() })),
        next: z.int().nullable().describe('`after` of the next page; null: this is the last one.'),
      }),
      run: async ({ params, query }) => {
        const { end, entries } = await broker.read(inboxOf(params.id), query.after, query.limit);
        const messages = entries.map(({ entry, sequence }) => ({
          ...entryToMessage(directEntry(entry), sequence, epochAt(end, sequence), 'base64'),
        }));
        const last = entries.at(-1)?.sequence;
        return {
          user_id: params.id,
          position: { epoch: end.epoch, sequence: end.sequence },
          messages,
          next: entries.length < query.limit || last === undefined ? null : last,
        };
      },
    }),
    adminRoute({
      method: 'delete',
      path: '/users/:id/inbox',
      role: 'admin',
      summary: 'Empty the inbox of a user, or remove the messages of one sender from it.',
      params: userParam,
      query: z.strictObject({
        sender: userIdField.optional().describe('Only the messages of this user.'),
      }),
      body: reasonBody,
      answer: z.object({ user_id: z.string(), removed: z.int() }),
      run: async ({ params, query }) => {
        const inbox = inboxOf(params.id);
        const removed =
          query.sender === undefined
            ? await broker.purge(inbox)
            : await removeOf(broker, inbox, JSON.stringify(query.sender));
        return { user_id: params.id, removed };
      },
    }),
  ];
}

/** Removes the messages of one sender. */
async function removeOf(broker: Broker, inbox: string, sender: string): Promise<number> {
  let removed = 0;
  for (let after = 0; ;) {
    const { entries } = await broker.read(inbox, after, pageSize);
    const found = entries.filter(({ entry }) => senderOf(entry) === sender);
    removed += await broker.remove(
      inbox,
      found.map(({ sequence }) => sequence),
    );
    const last = entries.at(-1);
    if (last === undefined || entries.length < pageSize) return removed;
    after = last.sequence;
  }
}
