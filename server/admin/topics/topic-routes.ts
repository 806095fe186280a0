import { z } from 'zod';
import { readTopicName } from '../../../shared/topic-name.js';
import type { ControlState } from '../../control/control-state.js';
import type { ClusterOperations } from '../cluster-operations.js';
import type { Broker } from '../../log/broker.js';
import { entryToMessage } from '../../log/entry.js';
import { epochAt } from '../../log/lineage.js';
import { adminRoute, type AdminRoute } from '../admin-route.js';
import { limitField, positionSchema, unresponsiveField } from '../schemas.js';
import { listTopics } from './topic-operations.js';

interface TopicRouteDependencies {
  readonly cluster: ClusterOperations;
  readonly broker: Broker;
  readonly control: ControlState;
}

const topicParam = z.object({ topic: z.string() });

/** Topics: the replicas on which they are active, the content of their logs, and emptying a log. */
export function topicRoutes({ cluster, broker, control }: TopicRouteDependencies): readonly AdminRoute[] {
  return [
    adminRoute({
      method: 'get',
      path: '/topics',
      role: 'viewer',
      summary: 'Topics with subscribers on any replica, those with the most subscribers first.',
      query: z.strictObject({ prefix: z.string().optional(), limit: limitField(100, 10_000) }),
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
        truncated: z.boolean().describe('A replica has more active topics than the limit.'),
        silent_replicas: unresponsiveField,
      }),
      run: async ({ query }) => {
        const { answers, unresponsive } = await cluster.ask(listTopics, query);
        const frozen = new Set(control.snapshot().frozen_topics);
        const topics = new Map<string, TopicSum>();
        for (const { replica, answer } of answers) {
          for (const { topic, subscribers, behind, position } of answer.items) {
            const sum: TopicSum = topics.get(topic) ?? {
              topic,
              subscribers: 0,
              behind: 0,
              position,
              replicas: [],
              frozen: frozen.has(topic),
            };
            topics.set(topic, sum);
            sum.subscribers += subscribers;
            sum.behind += behind;
            sum.replicas.push(replica);
            if (position.sequence > sum.position.sequence) sum.position = position;
          }
        }
        const sorted = [...topics.values()].sort((a, b) => b.subscribers - a.subscribers);
        const truncated =
          sorted.length > query.limit || answers.some(({ answer }) => answer.total > answer.items.length);
        return { topics: sorted.slice(0, query.limit), truncated, silent_replicas: unresponsive };
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
          cluster.ask(listTopics, { prefix: topic, limit: 10_000 }),
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
      query: z.strictObject({ limit: limitField(100, 1000) }),
      answer: z.object({ position: positionSchema, messages: z.array(z.looseObject({ id: z.string() })) }),
      run: async ({ params, query }) => {
        const { end, entries } = await broker.readLast(readTopicName(params.topic, 'topic'), query.limit);
        const messages = entries.map(({ entry, sequence }) => ({
          ...entryToMessage(entry, sequence, epochAt(end, sequence), 'base64'),
        }));
        return { position: { epoch: end.epoch, sequence: end.sequence }, messages };
      },
    }),
    adminRoute({
      method: 'delete',
      path: '/topics/:topic/history',
      role: 'admin',
      summary: 'Empty the log of a topic. Sequence numbers continue.',
      params: topicParam,
      answer: z.object({ topic: z.string(), removed: z.int() }),
      run: async ({ params }) => {
        const topic = readTopicName(params.topic, 'topic');
        return { topic, removed: await broker.purge(topic) };
      },
    }),
  ];
}

interface TopicSum {
  topic: string;
  subscribers: number;
  behind: number;
  position: { epoch: string; sequence: number };
  replicas: string[];
  frozen: boolean;
}
