import { z } from 'zod';
import { inboxOf } from '../../direct/inbox-name.js';
import { filledPercent, type InboxSize } from '../../direct/inbox-sizes.js';
import type { Broker } from '../../log/broker.js';
import { directEntry, entryToMessage, senderOf, timestampOf } from '../../log/entry.js';
import { epochAt } from '../../log/lineage.js';
import { userIdField } from '../../protocol/request-fields.js';
import { adminRoute, type AdminRoute } from '../admin-route.js';
import type { ClusterOperations } from '../cluster-operations.js';
import { limitField, positionSchema, reasonBody, unresponsiveField, userParam } from '../schemas.js';
import { fullestInboxes } from './inbox-operations.js';

interface InboxRouteDependencies {
  readonly broker: Broker;
  readonly cluster: ClusterOperations;
}

interface InboxRouteSettings {
  /** The limits of an inbox. */
  readonly messages: number;
  readonly bytes: number;
}

/** Of a replica: all that it remembers. */
const askedMax = 100;

/** Messages read at once in order to find those of one sender. */
const pageSize = 100;

/** Inboxes: the direct messages that wait for a user. */
export function inboxRoutes(
  { broker, cluster }: InboxRouteDependencies,
  limits: InboxRouteSettings,
): readonly AdminRoute[] {
  return [
    adminRoute({
      method: 'get',
      path: '/inboxes',
      role: 'viewer',
      summary:
        'The fullest inboxes, of those to which the replicas have added messages since their start: each remembers 50.',
      query: z.strictObject({ limit: limitField(10, 50) }),
      answer: z.object({
        inboxes: z.array(
          z.object({
            user_id: z.string(),
            messages: z.int(),
            bytes: z.int(),
            filled_percent: z.number().describe('In messages or bytes, whichever is nearer to its limit.'),
          }),
        ),
        limit_messages: z.int(),
        limit_bytes: z.int(),
        silent_replicas: unresponsiveField,
      }),
      run: async ({ query: { limit } }) => {
        const { answers, unresponsive } = await cluster.ask(fullestInboxes, { limit: askedMax });
        return {
          inboxes: (await currentSizes(broker, merged(answers.flatMap(({ answer }) => answer))))
            .map((size) => ({
              user_id: size.userId,
              messages: size.messages,
              bytes: size.bytes,
              filled_percent: filledPercent(size, limits),
            }))
            .sort((one, other) => other.filled_percent - one.filled_percent || other.messages - one.messages)
            .slice(0, limit),
          limit_messages: limits.messages,
          limit_bytes: limits.bytes,
          silent_replicas: unresponsive,
        };
      },
    }),
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
      method: 'get',
      path: '/users/:id/inbox/size',
      role: 'viewer',
      summary: 'How many direct messages wait for a user, their bytes, and since when the oldest does.',
      params: userParam,
      answer: z.object({
        user_id: z.string(),
        messages: z.int(),
        bytes: z.int(),
        oldest_at: z.number().nullable().describe('Milliseconds since 1970; null: there are none.'),
      }),
      run: async ({ params }) => ({ user_id: params.id, ...(await sizeOf(broker, inboxOf(params.id))) }),
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

/** One of each: several replicas may have added messages to an inbox. */
function merged(sizes: readonly InboxSize[]): InboxSize[] {
  const byUser = new Map<string, InboxSize>();
  for (const size of sizes) {
    const known = byUser.get(size.userId);
    if (known === undefined || known.messages < size.messages) byUser.set(size.userId, size);
  }
  return [...byUser.values()];
}

/** Without those that have been read meanwhile. */
async function currentSizes(broker: Broker, sizes: readonly InboxSize[]): Promise<InboxSize[]> {
  const now = await broker.sizes(sizes.map(({ userId }) => inboxOf(userId)));
  return sizes
    .map(({ userId, bytes }, i) => ({ userId, messages: now[i]!.messages, bytes: now[i]!.bytes ?? bytes }))
    .filter(({ messages }) => messages > 0);
}

/** Reads an inbox, which is bounded, page by page. */
async function sizeOf(
  broker: Broker,
  inbox: string,
): Promise<{ messages: number; bytes: number; oldest_at: number | null }> {
  const size = { messages: 0, bytes: 0, oldest_at: null as number | null };
  for (let after = 0; ;) {
    const { entries, truncated } = await broker.read(inbox, after, pageSize);
    for (const { entry } of entries) {
      size.messages++;
      size.bytes += entry.length;
      size.oldest_at ??= timestampOf(entry);
    }
    const last = entries.at(-1);
    if (last === undefined || (entries.length < pageSize && !truncated)) return size;
    after = last.sequence;
  }
}

/** Removes the messages of one sender. */
async function removeOf(broker: Broker, inbox: string, sender: string): Promise<number> {
  let removed = 0;
  for (let after = 0; ;) {
    const { entries, truncated } = await broker.read(inbox, after, pageSize);
    const found = entries.filter(({ entry }) => senderOf(entry) === sender);
    removed += await broker.remove(
      inbox,
      found.map(({ sequence }) => sequence),
    );
    const last = entries.at(-1);
    if (last === undefined || (entries.length < pageSize && !truncated)) return removed;
    after = last.sequence;
  }
}
