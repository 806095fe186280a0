import { z } from 'zod';
import { readTopicName } from '../../../shared/topic-name.js';
import type { ControlState } from '../../control/control-state.js';
import type { ClusterOperations } from '../cluster-operations.js';
import type { Broker } from '../../log/broker.js';
import { entryToMessage } from '../../log/entry.js';
import { epochAt } from '../../log/lineage.js';
import type { PresenceReader } from '../../presence/presence-reader.js';
import { adminRoute, type AdminRoute } from '../admin-route.js';
import { listRequest, mergePages } from '../list-page.js';
import {
  cursorAnswer,
  cursorField,
  limitField,
  positionSchema,
  reasonBody,
  topicParam,
  truncatedAnswer,
  unresponsiveField,
} from '../schemas.js';
import { listTopics } from './topic-operations.js';

interface TopicRouteDependencies {
  readonly presence: PresenceReader;
  readonly cluster: ClusterOperations;
  readonly broker: Broker;
  readonly control: ControlState;
}

/** Topics: the replicas on which they are active, the content of their logs, and emptying a log. */
export function topicRoutes(
  { cluster, broker, control, presence }: TopicRouteDependencies,
  { answerBytes }: { readonly answerBytes: number },
): readonly AdminRoute[] {
  return [
    adminRoute({
      method: 'get',
      path: '/topics',
      role: 'viewer',
      summary: 'Topics with subscribers on any replica, those with the most subscribers first.',
      query: z.strictObject({
        prefix: z.string().optional(),
        limit: limitField(100, 10_000),
        cursor: cursorField,
      }),
      answer: z.object({
        topics: z.array(
          z.object({
            topic: z.string(),
            subscribers: z.int(),
            behind: z.int().describe('Subscribers that are catching up from the log.'),
            position: positionSchema,
            replicas: z.array(z.string()),
            frozen: z.boolean(),
          }),
        ),
        truncated: truncatedAnswer,
        cursor: cursorAnswer,
        silent_replicas: unresponsiveField,
      }),
      run: async ({ query: { prefix, ...asked } }) => {
        const page = listRequest(asked, answerBytes);
        const { answers, unresponsive } = await cluster.ask(listTopics, { prefix, ...page });
        const frozen = new Set(control.snapshot().frozen_topics);
        const found = answers.map(({ replica, answer: { items, ...rest } }) => ({
          ...rest,
          items: items.map((item): TopicSum => ({
            ...item,
            replicas: [replica],
            frozen: frozen.has(item.topic),
          })),
        }));
        const order = {
          keyOf: ({ topic }: TopicSum) => topic,
          rank: (a: TopicSum, b: TopicSum) => b.subscribers - a.subscribers,
        };
        const { items, truncated, cursor } = mergePages(found, page, order, sumOf);
        return { topics: items, truncated, cursor, silent_replicas: unresponsive };
      },
    }),
    adminRoute({
      method: 'get',
      path: '/topics/:topic',
      role: 'viewer',
      summary: 'The end of a topic’s log, the number of stored messages, and its subscribers per replica.',
      params: topicParam,
      answer: z.object({
        topic: z.string(),
        position: positionSchema,
        stored: z.int().describe('Approximate number of messages in the log.'),
        frozen: z.boolean(),
        replicas: z.array(z.object({ replica_id: z.string(), subscribers: z.int(), behind: z.int() })),
        silent_replicas: unresponsiveField,
      }),
      run: async ({ params }) => {
        const topic = readTopicName(params.topic, 'topic');
        const [[end], { answers, unresponsive }] = await Promise.all([
          broker.ends([topic]),
          cluster.ask(listTopics, { name: topic, prefix: topic, limit: 10_000 }),
        ]);
        const { epoch, sequence, firstSequence } = end!;
        return {
          topic,
          position: { epoch, sequence },
          stored: sequence - firstSequence + 1,
          frozen: control.snapshot().frozen_topics.includes(topic),
          replicas: answers.flatMap(({ replica, answer }) =>
            answer.items
              .filter((item) => item.topic === topic)
              .map(({ subscribers, behind }) => ({ replica_id: replica, subscribers, behind })),
          ),
          silent_replicas: unresponsive,
        };
      },
    }),
    adminRoute({
      method: 'get',
      path: '/topics/:topic/history',
      role: 'operator',
      summary: 'The newest messages of a topic, oldest first, with their payloads.',
      params: topicParam,
      query: z.strictObject({
        limit: limitField(100, 1000),
        before: z.coerce
          .number()
          .int()
          .min(1)
          .optional()
          .describe('Only messages with a smaller sequence: `before` of the answer before.'),
        until: z.coerce
          .number()
          .int()
          .min(0)
          .optional()
          .describe('Only messages of this time or before, in milliseconds since 1970. `before` wins.'),
      }),
      answer: z.object({
        position: positionSchema,
        messages: z.array(z.looseObject({ id: z.string() })),
        before: z.int().nullable().describe('Continues the list with older messages; null: there are none.'),
      }),
      run: async ({ params, query }) => {
        const topic = readTopicName(params.topic, 'topic');
        const { limit, until } = query;
        const before =
          query.before ?? (until === undefined ? undefined : await sequenceAfter(broker, topic, until));
        const { end, entries } = await broker.readLast(topic, limit, answerBytes, before);
        const messages = entries.map(({ entry, sequence }) => ({
          ...entryToMessage(entry, sequence, epochAt(end, sequence), 'base64'),
        }));
        const first = entries[0]?.sequence;
        return {
          position: { epoch: end.epoch, sequence: end.sequence },
          messages,
          before: first === undefined || first <= end.firstSequence ? null : first,
        };
      },
    }),
    adminRoute({
      method: 'get',
      path: '/topics/:topic/presence',
      role: 'viewer',
      summary: 'The users subscribed to a topic, on all replicas, page by page.',
      params: topicParam,
      query: z.strictObject({
        limit: limitField(100, 1000),
        cursor: z
          .string()
          .regex(/^\d{0,20}$/, 'must be empty, or the cursor of an earlier answer')
          .optional(),
      }),
      answer: z.object({
        users: z.array(z.object({ user_id: z.string(), connections: z.int() })),
        count: z.int().describe('Number of all users, also those of other pages.'),
        partial: z.boolean().describe('Not all replicas could be read.'),
        cursor: z.string().nullable().describe('Cursor of the next page; null after the last page.'),
      }),
      run: async ({ params, query: { limit, cursor } }) => {
        const topic = readTopicName(params.topic, 'topic');
        const page = { limit, bytes: answerBytes, ...(cursor !== undefined && cursor !== '' && { cursor }) };
        const { users, count, partial = false, next } = await presence.of(topic, page);
        return { users, count, partial, cursor: next?.cursor ?? null };
      },
    }),
    adminRoute({
      method: 'delete',
      path: '/topics/:topic/history',
      role: 'admin',
      summary: 'Empty the log of a topic. Sequence numbers continue.',
      params: topicParam,
      body: reasonBody,
      answer: z.object({ topic: z.string(), removed: z.int() }),
      run: async ({ params }) => {
        const topic = readTopicName(params.topic, 'topic');
        return { topic, removed: await broker.purge(topic) };
      },
    }),
  ];
}

/**
 * The smallest sequence behind all messages of a time and before, found by halving: a log of a million messages takes
 * twenty reads of one message each.
 */
async function sequenceAfter(
  broker: Pick<Broker, 'ends' | 'readLast'>,
  topic: string,
  until: number,
): Promise<number> {
  const [end] = await broker.ends([topic]);
  let low = end!.firstSequence;
  let high = end!.sequence + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const { entries } = await broker.readLast(topic, 1, 1, middle + 1);
    const found = entries.at(-1);
    if (found === undefined || entryToMessage(found.entry, found.sequence, '', 'base64').timestamp <= until)
      low = middle + 1;
    else high = middle;
  }
  // `before` is at least 1.
  return Math.max(1, low);
}

/** A topic on one or several replicas. */
interface TopicSum {
  readonly topic: string;
  readonly subscribers: number;
  readonly behind: number;
  readonly position: { readonly epoch: string; readonly sequence: number };
  readonly replicas: readonly string[];
  readonly frozen: boolean;
}

function sumOf(same: readonly TopicSum[]): TopicSum {
  return same.reduce((sum, one) => ({
    ...sum,
    subscribers: sum.subscribers + one.subscribers,
    behind: sum.behind + one.behind,
    position: one.position.sequence > sum.position.sequence ? one.position : sum.position,
    replicas: [...sum.replicas, ...one.replicas],
  }));
}
