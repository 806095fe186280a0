import { z } from 'zod';
import { isLogFilter, logFilterRule } from '../../logging/log-filter.js';
import { readTopicName } from '../../../shared/topic-name.js';
import { modes, type ControlState } from '../../control/control-state.js';
import { adminRoute, type AdminCaller, type AdminRoute } from '../admin-route.js';
import { reasonBody, reasonField, switchedBy, topicParam } from '../schemas.js';

interface ControlRouteDependencies {
  readonly control: ControlState;
  /** The log filter in force on this replica. */
  readonly logFilter: () => string;
  readonly now: () => number;
}

const controlSchema = z.object({
  mode: z.enum(modes),
  accepts_connections: z.boolean(),
  presence: z.enum(['on', 'shed']),
  frozen_topics: z.array(z.string()),
  rate_limits: z.object({ connection_rps: z.int(), user_rps: z.int() }),
  switched: z.record(z.string(), z.object({ by: z.string(), at: z.number(), reason: z.string().optional() })),
});

const onlyReason = reasonBody;
const rate = z.int().min(0).max(1_000_000);

/**
 * Runtime control: mode, connections, rates, topics, presence, log filter. A change applies to all replicas
 * within a second.
 */
export function controlRoutes({ control, logFilter, now }: ControlRouteDependencies): readonly AdminRoute[] {
  const accept = (accepted: boolean) => ({
    method: 'post' as const,
    role: 'operator' as const,
    body: onlyReason,
    answer: controlSchema,
    run: async ({ body, caller }: { body: z.output<typeof onlyReason>; caller: AdminCaller }) => {
      await control.acceptConnections(accepted, switchedBy(caller, now(), body.reason));
      return control.snapshot();
    },
  });
  const freeze = (frozen: boolean) =>
    adminRoute({
      method: 'post',
      path: `/topics/:topic/${frozen ? 'freeze' : 'unfreeze'}`,
      role: 'operator',
      summary: frozen
        ? 'Refuse publishes to a topic; reading stays possible.'
        : 'Allow publishes to a topic again.',
      params: topicParam,
      body: onlyReason,
      answer: controlSchema,
      run: async ({ params, body, caller }) => {
        const topic = readTopicName(params.topic, 'topic');
        await control.freeze(topic, frozen, switchedBy(caller, now(), body.reason));
        return control.snapshot();
      },
    });
  const shed = (off: boolean) =>
    adminRoute({
      method: 'post',
      path: `/presence/${off ? 'shed' : 'restore'}`,
      role: 'operator',
      summary: off ? 'Switch presence off, to reduce the load on Redis.' : 'Switch presence on again.',
      body: onlyReason,
      answer: controlSchema,
      run: async ({ body, caller }) => {
        await control.shedPresence(off, switchedBy(caller, now(), body.reason));
        return control.snapshot();
      },
    });
  return [
    adminRoute({
      method: 'get',
      path: '/emergency-mode',
      role: 'viewer',
      summary: 'The runtime control: mode, connections, presence, frozen topics, rate limits.',
      answer: controlSchema,
      run: () => control.snapshot(),
    }),
    adminRoute({
      method: 'post',
      path: '/emergency-mode',
      role: 'operator',
      summary: 'Change the mode: normal, read_only (no publishes) or maintenance (no commands).',
      body: z.strictObject({ mode: z.enum(modes), reason: reasonField }),
      answer: controlSchema,
      run: async ({ body, caller }) => {
        await control.setMode(body.mode, switchedBy(caller, now(), body.reason));
        return control.snapshot();
      },
    }),
    adminRoute({
      path: '/connections/disable-new',
      summary: 'Refuse new connections; existing ones stay.',
      ...accept(false),
    }),
    adminRoute({ path: '/connections/enable-new', summary: 'Admit new connections again.', ...accept(true) }),
    freeze(true),
    freeze(false),
    shed(true),
    shed(false),
    adminRoute({
      method: 'get',
      path: '/config/rate-limits',
      role: 'viewer',
      summary: 'The rate limits in force.',
      answer: controlSchema.shape.rate_limits,
      run: () => control.snapshot().rate_limits,
    }),
    adminRoute({
      method: 'put',
      path: '/config/rate-limits',
      role: 'operator',
      summary:
        'Change rate limits (commands per second; 0 for no limit). A limit that is not given stays unchanged.',
      body: z
        .strictObject({ connection_rps: rate.optional(), user_rps: rate.optional(), reason: reasonField })
        .refine(
          ({ connection_rps: connection, user_rps: user }) => connection !== undefined || user !== undefined,
          {
            error: 'give connection_rps, user_rps or both',
          },
        ),
      answer: controlSchema.shape.rate_limits,
      run: async ({ body, caller }) => {
        const { connection_rps: connectionRps, user_rps: userRps, reason } = body;
        const rates = {
          ...(connectionRps !== undefined && { connectionRps }),
          ...(userRps !== undefined && { userRps }),
        };
        await control.setRates(rates, switchedBy(caller, now(), reason));
        return control.snapshot().rate_limits;
      },
    }),
    adminRoute({
      method: 'delete',
      path: '/config/rate-limits',
      role: 'operator',
      summary: 'Return to the rate limits of the settings.',
      body: onlyReason,
      answer: controlSchema.shape.rate_limits,
      run: async ({ body, caller }) => {
        await control.resetRates(switchedBy(caller, now(), body.reason));
        return control.snapshot().rate_limits;
      },
    }),
    adminRoute({
      method: 'get',
      path: '/config/log',
      role: 'viewer',
      summary: 'The log filter in force.',
      answer: z.object({ filter: z.string() }),
      run: () => ({ filter: logFilter() }),
    }),
    adminRoute({
      method: 'put',
      path: '/config/log',
      role: 'operator',
      summary:
        'Change the log filter of all replicas, for example realtime_communication::routing=debug,info.',
      body: z.strictObject({
        filter: z.string().min(1).max(2000).refine(isLogFilter, logFilterRule),
        reason: reasonField,
      }),
      answer: z.object({ filter: z.string() }),
      run: async ({ body, caller }) => {
        await control.setLogFilter(body.filter, switchedBy(caller, now(), body.reason));
        return { filter: logFilter() };
      },
    }),
    adminRoute({
      method: 'delete',
      path: '/config/log',
      role: 'operator',
      summary: 'Return to the log filter of the settings.',
      body: onlyReason,
      answer: z.object({ filter: z.string() }),
      run: async ({ body, caller }) => {
        await control.setLogFilter(undefined, switchedBy(caller, now(), body.reason));
        return { filter: logFilter() };
      },
    }),
  ];
}
