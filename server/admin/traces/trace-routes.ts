import { z } from 'zod';
import { RefusalError } from '../../../shared/errors.js';
import { readTopicName } from '../../../shared/topic-name.js';
import type { ClusterOperations } from '../cluster-operations.js';
import { inOrder, traceStages } from '../../tracing/trace-event.js';
import { traceRulesLimit, type TraceRule, type TraceRules } from '../../tracing/trace-rules.js';
import { adminRoute, type AdminRoute } from '../admin-route.js';
import { nameField } from '../../protocol/name.js';
import { topicField, userIdField } from '../../protocol/request-fields.js';
import { listRequest, mergePages } from '../list-page.js';
import {
  cursorField,
  limitField,
  reasonBody,
  reasonField,
  switchedBy,
  unresponsiveField,
} from '../schemas.js';
import { listTraces, traceOfMessage, traceOrder } from './trace-operations.js';

interface TraceRouteDependencies {
  readonly cluster: ClusterOperations;
  readonly rules: TraceRules;
  readonly now: () => number;
}

const eventSchema = z.object({
  stage: z.enum(traceStages),
  at: z.number().describe('Milliseconds since 1970, by the clock of the replica.'),
  replica_id: z.string(),
  details: z.record(z.string(), z.unknown()),
});

const ruleSchema = z.object({
  topic: z.string().optional(),
  user: z.string().optional(),
  until: z.number().describe('Milliseconds since 1970.'),
  by: z.string(),
  at: z.number(),
  reason: z.string().optional(),
});

const rulesAnswer = z.object({ rules: z.array(ruleSchema) });

const subject = {
  topic: topicField.optional(),
  user: userIdField.optional().describe('Sender, or recipient of direct messages.'),
};
const onlyOne = ({ topic, user }: { topic?: string | undefined; user?: string | undefined }) =>
  (topic === undefined) !== (user === undefined);
const giveOne = { error: 'give either topic or user' };

/** Traces of messages, and trace rules. */
export function traceRoutes(
  { cluster, rules, now }: TraceRouteDependencies,
  { answerBytes }: { readonly answerBytes: number },
): readonly AdminRoute[] {
  /** In the order in which they were added. */
  const listed = () => ({ rules: [...rules.list()].sort((a, b) => a.at - b.at).map(shown) });
  return [
    adminRoute({
      method: 'get',
      path: '/messages/:id/trace',
      role: 'viewer',
      summary: 'The trace of a message: its events on all replicas, in order of time.',
      params: z.object({ id: nameField(100).describe('Id of a message: a UUID.') }),
      answer: z.object({
        message_id: z.string(),
        events: z.array(eventSchema),
        silent_replicas: unresponsiveField,
      }),
      run: async ({ params: { id } }) => {
        const { answers, unresponsive } = await cluster.ask(traceOfMessage, { id });
        const events = inOrder(answers.flatMap(({ answer }) => answer));
        if (events.length === 0 && unresponsive.length === 0)
          throw new RefusalError(
            'not_found',
            `there is no trace of message ${id.slice(0, 100)}: it was not traced, or its trace is no longer kept`,
          );
        return {
          message_id: id,
          events: events.map(({ message_id: _, ...event }) => event),
          silent_replicas: unresponsive,
        };
      },
    }),
    adminRoute({
      method: 'get',
      path: '/traces',
      role: 'viewer',
      summary: 'Traced messages, the newest first.',
      query: z.strictObject({
        ...subject,
        failed: z
          .enum(['true', 'false'])
          .transform((text) => text === 'true')
          .optional(),
        limit: limitField(100, 1000),
        cursor: cursorField,
      }),
      answer: z.object({
        messages: z.array(
          z.object({
            message_id: z.string(),
            at: z.number(),
            replica_id: z.string(),
            stage: z.enum(traceStages).describe('The latest stage on the replica that received the message.'),
            user_id: z.string(),
            topic: z.string().optional(),
            to: z.string().optional(),
            code: z.string().optional().describe('Code of the error, if it failed.'),
          }),
        ),
        cursor: z.string().nullable().describe('Cursor of the next page; null after the last page.'),
        silent_replicas: unresponsiveField,
      }),
      run: async ({ query: { limit, cursor: from = '', ...selected } }) => {
        const page = listRequest({ limit, cursor: from }, answerBytes);
        const { answers, unresponsive } = await cluster.ask(listTraces, {
          ...selected,
          limit,
          after: page.after,
        });
        const found = answers.map(({ answer }) => ({
          items: answer,
          total: answer.length,
          more: answer.length >= limit,
        }));
        const { items, cursor } = mergePages(found, page, traceOrder);
        return { messages: items, cursor, silent_replicas: unresponsive };
      },
    }),
    adminRoute({
      method: 'get',
      path: '/trace-rules',
      role: 'viewer',
      summary: 'The trace rules: topics and users whose messages are all traced, with the time until which.',
      answer: rulesAnswer,
      run: listed,
    }),
    adminRoute({
      method: 'post',
      path: '/trace-rules',
      role: 'operator',
      summary: `Trace all messages of a topic, or of a user, for a while; at most ${traceRulesLimit} at a time.`,
      body: z
        .strictObject({
          ...subject,
          for_secs: z.int().min(1).max(86_400).default(300),
          reason: reasonField,
        })
        .refine(onlyOne, giveOne),
      answer: rulesAnswer,
      run: async ({ body, caller }) => {
        const at = now();
        const who = switchedBy(caller, at, body.reason);
        await rules.add({ ...subjectOf(body), until: at + body.for_secs * 1000, ...who });
        return listed();
      },
    }),
    adminRoute({
      method: 'delete',
      path: '/trace-rules',
      role: 'operator',
      summary: 'Delete a trace rule before it ends.',
      query: z.strictObject(subject).refine(onlyOne, giveOne),
      body: reasonBody,
      answer: rulesAnswer,
      run: async ({ query }) => {
        const { kind, name } = subjectOf(query);
        if (!(await rules.delete(kind, name)))
          throw new RefusalError('not_found', `there is no trace rule for ${kind} ${name}`);
        return listed();
      },
    }),
  ];
}

function subjectOf({ topic, user }: { topic?: string | undefined; user?: string | undefined }): {
  kind: TraceRule['kind'];
  name: string;
} {
  return topic === undefined
    ? { kind: 'user', name: user! }
    : { kind: 'topic', name: readTopicName(topic, 'topic') };
}

function shown({ kind, name, ...rule }: TraceRule): z.output<typeof ruleSchema> {
  return { [kind]: name, ...rule };
}
