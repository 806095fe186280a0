import { z } from 'zod';
import { talkerKinds, type Talker } from '../../limits/talkers.js';
import { userIdField } from '../../protocol/request-fields.js';
import { adminRoute, type AdminRoute } from '../admin-route.js';
import type { ClusterOperations } from '../cluster-operations.js';
import { limitField, reasonBody, reasonField, switchedBy, unresponsiveField, userParam } from '../schemas.js';
import { userLimitsMax, type UserLimit, type UserLimits } from '../../control/user-limits.js';
import { RefusalError } from '../../../shared/errors.js';
import { topTalkers } from './talker-operations.js';

interface TalkerRouteDependencies {
  readonly cluster: ClusterOperations;
  readonly limits: UserLimits;
  readonly now: () => number;
}

const rate = z.number();
const sorts = ['commands', 'messages', 'bytes', 'refused'] as const;
const talkerSchema = z.object({
  name: z.string().describe('User, connection or topic.'),
  user_id: z.string().optional().describe('Of a connection.'),
  commands_per_sec: rate,
  messages_per_sec: rate,
  bytes_per_sec: rate.describe('Of payloads.'),
  refused_per_sec: rate,
  replicas: z.array(z.string()),
});

const limitSchema = z.object({
  user_id: userIdField,
  commands_per_sec: z.int(),
  until: z.number().describe('Milliseconds since 1970.'),
  by: z.string(),
  at: z.number(),
  reason: z.string().optional(),
});
const limitsAnswer = z.object({ limits: z.array(limitSchema) });

/** A replica is asked for more than is shown: the most of all may not be the most of one. */
const askedMax = 200;

/** Who sends the most, and limits for single users. */
export function talkerRoutes({ cluster, limits, now }: TalkerRouteDependencies): readonly AdminRoute[] {
  const listed = () => ({ limits: limits.list().map(shown) });
  return [
    adminRoute({
      method: 'get',
      path: '/talkers',
      role: 'viewer',
      summary:
        'Users, connections or topics with the most commands, messages, bytes or refusals in the last one or two seconds.',
      query: z.strictObject({
        by: z.enum(talkerKinds).default('user'),
        sort: z.enum(sorts).default('commands'),
        limit: limitField(10, 100),
        name: z.string().max(1000).optional().describe('This user, connection or topic alone.'),
      }),
      answer: z.object({
        by: z.enum(talkerKinds),
        sort: z.enum(sorts),
        talkers: z.array(talkerSchema),
        silent_replicas: unresponsiveField,
      }),
      run: async ({ query: { by: kind, sort, limit, name } }) => {
        const { answers, unresponsive } = await cluster.ask(topTalkers, {
          kind,
          by: sort,
          limit: askedMax,
          name,
        });
        const talkers = merged(
          answers.flatMap(({ replica, answer }) => answer.map((one) => ({ ...one, replica }))),
        )
          .filter((one) => name === undefined || one.name === name)
          .sort((one, other) => other[`${sort}_per_sec`] - one[`${sort}_per_sec`])
          .slice(0, limit);
        return { by: kind, sort, talkers, silent_replicas: unresponsive };
      },
    }),
    adminRoute({
      method: 'get',
      path: '/user-limits',
      role: 'viewer',
      summary: 'The limits that operators have set for single users, with the time until which.',
      answer: limitsAnswer,
      run: listed,
    }),
    adminRoute({
      method: 'put',
      path: '/users/:id/limit',
      role: 'operator',
      summary: `Limit the commands of one user on all replicas for a time, instead of limits.user_rps; at most ${userLimitsMax} users at a time.`,
      params: userParam,
      body: z.strictObject({
        commands_per_sec: z.int().min(1).max(1_000_000),
        for_secs: z.int().min(1).max(604_800).default(3600),
        reason: reasonField,
      }),
      answer: limitsAnswer,
      run: async ({ params: { id }, body, caller }) => {
        const at = now();
        const until = at + body.for_secs * 1000;
        const who = switchedBy(caller, at, body.reason);
        await limits.set({ userId: id, commandsPerSec: body.commands_per_sec, until, ...who });
        return listed();
      },
    }),
    adminRoute({
      method: 'delete',
      path: '/users/:id/limit',
      role: 'operator',
      summary: 'End the limit of one user before its time.',
      params: userParam,
      body: reasonBody,
      answer: limitsAnswer,
      run: async ({ params: { id } }) => {
        if (!(await limits.delete(id)))
          throw new RefusalError('not_found', `there is no limit for user ${id}`);
        return listed();
      },
    }),
  ];
}

/** Adds up the rates of the replicas. */
function merged(found: readonly (Talker & { readonly replica: string })[]): z.output<typeof talkerSchema>[] {
  const sums = new Map<string, z.output<typeof talkerSchema>>();
  for (const { replica, name, user_id: userId, ...one } of found) {
    const sum = sums.get(name);
    const add = (field: keyof typeof one) => Number((one[field] + (sum?.[field] ?? 0)).toFixed(1));
    sums.set(name, {
      name,
      ...(userId !== undefined && { user_id: userId }),
      commands_per_sec: add('commands_per_sec'),
      messages_per_sec: add('messages_per_sec'),
      bytes_per_sec: add('bytes_per_sec'),
      refused_per_sec: add('refused_per_sec'),
      replicas: [...(sum?.replicas ?? []), replica],
    });
  }
  return [...sums.values()];
}

function shown({ userId, commandsPerSec, ...limit }: UserLimit): z.output<typeof limitSchema> {
  return { user_id: userId, commands_per_sec: commandsPerSec, ...limit };
}
