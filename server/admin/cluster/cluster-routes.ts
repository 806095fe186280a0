import { z } from 'zod';
import type { ControlState } from '../../control/control-state.js';
import type { ClusterOperations } from '../cluster-operations.js';
import type { MetricsDocument } from '../../metrics/metrics-document.js';
import { adminRoute, type AdminRoute } from '../admin-route.js';
import type { AuditLog } from '../audit/audit-log.js';
import { withinBytes } from '../list-page.js';
import { openApiDocument } from '../openapi.js';
import { userIdField } from '../../protocol/request-fields.js';
import { searchAudit } from '../audit/audit-search.js';
import { limitField, unresponsiveField } from '../schemas.js';
import { replicaMetrics } from './replica-metrics.js';

interface ClusterRouteDependencies {
  readonly cluster: ClusterOperations;
  readonly control: ControlState;
  readonly audit: AuditLog;
  /** The settings in force, without secrets. */
  readonly settings: () => object;
  /** Every admin route, for the OpenAPI document. */
  readonly routes: () => readonly AdminRoute[];
  readonly version: string;
}

const totalsSchema = z.object({
  replicas: z.int(),
  active_connections: z.int(),
  subscriptions: z.int(),
  published: z.int().describe('Messages stored since the replicas started.'),
  delivered: z.int(),
  direct: z.int(),
  refused: z.int(),
  rate_limited: z.int(),
  gaps: z.int(),
  slow_outboxes: z.int(),
  mailbox_waiting: z.int(),
  memory_rss_bytes: z.int(),
});

/** Totals of the cluster, the audit log, the settings, and the OpenAPI document. */
export function clusterRoutes(
  dependencies: ClusterRouteDependencies,
  { answerBytes }: { readonly answerBytes: number },
): readonly AdminRoute[] {
  const { cluster, control, audit, settings, routes, version } = dependencies;
  return [
    adminRoute({
      method: 'get',
      path: '/cluster',
      role: 'viewer',
      summary: 'Totals of all replicas, and the metrics of each.',
      answer: z.object({
        totals: totalsSchema,
        mode: z.string(),
        replicas: z.array(z.looseObject({ replica_id: z.string(), active_connections: z.int() })),
        silent_replicas: unresponsiveField,
      }),
      run: async () => {
        const { answers, unresponsive } = await cluster.ask(replicaMetrics, null);
        const documents = answers.map(({ answer }) => answer);
        return {
          totals: totalsOf(documents),
          mode: control.snapshot().mode,
          replicas: documents.map((document) => ({ ...document })),
          silent_replicas: unresponsive,
        };
      },
    }),
    adminRoute({
      method: 'get',
      path: '/audit',
      role: 'operator',
      summary:
        'Changes by operators, also refused ones, the newest first. Requests of users who are no operators are summed up.',
      query: z.strictObject({
        limit: limitField(100, 1000),
        before: z
          .string()
          .regex(/^\d+-\d+(?:-r)?$/, 'must be the id of a record')
          .optional(),
        user: userIdField.optional().describe('Only requests of this operator.'),
        action: z
          .string()
          .max(500)
          .optional()
          .describe('Only those whose method and path contain this text, for example purge or /topics/news.'),
        result: z
          .enum(['ok', 'refused'])
          .optional()
          .describe('Only changes that were made, or only refused ones.'),
      }),
      answer: z.object({
        records: z.array(
          z.object({
            id: z.string(),
            at: z.number().describe('Milliseconds since 1970.'),
            user_id: z.string(),
            address: z.string(),
            replica_id: z.string(),
            action: z.string(),
            request: z.unknown(),
            result: z.string().describe('ok, or the code of the error.'),
            count: z.int().describe('Number of requests; more than 1 for requests that are summed up.'),
          }),
        ),
        before: z
          .string()
          .nullable()
          .describe('Continues the list with older records; null: there may be none.'),
      }),
      run: async ({ query: { limit, before, ...wanted } }) => {
        const found = await searchAudit(audit, { limit, before, ...wanted });
        const records = withinBytes(found.records, answerBytes, (record) => record);
        const last = records[records.length - 1]?.id ?? null;
        return { records, before: records.length < found.records.length ? last : found.before };
      },
    }),
    adminRoute({
      method: 'get',
      path: '/config',
      role: 'viewer',
      summary: 'The settings of this replica, without secrets.',
      answer: z.looseObject({}),
      run: () => ({ ...settings() }),
    }),
    adminRoute({
      method: 'get',
      path: '/openapi.json',
      role: 'viewer',
      summary: 'This document.',
      answer: z.looseObject({ openapi: z.string() }),
      run: () => openApiDocument(routes(), version),
    }),
  ];
}

function totalsOf(documents: readonly MetricsDocument[]): z.output<typeof totalsSchema> {
  const sum = (read: (document: MetricsDocument) => number) =>
    documents.reduce((total, document) => total + read(document), 0);
  return {
    replicas: documents.length,
    active_connections: sum((one) => one.active_connections),
    subscriptions: sum((one) => one.topics.subscriptions),
    published: sum((one) => one.messages.published),
    delivered: sum((one) => one.messages.delivered),
    direct: sum((one) => one.messages.direct),
    refused: sum((one) => one.messages.refused),
    rate_limited: sum((one) => one.rate_limit_stats.limited),
    gaps: sum((one) => one.messages.gaps),
    slow_outboxes: sum((one) => one.outboxes.slow),
    mailbox_waiting: sum((one) => one.mailboxes.waiting),
    memory_rss_bytes: sum((one) => one.memory.rss_bytes),
  };
}
