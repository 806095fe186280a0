import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Request } from 'express';
import { z } from 'zod';
import { RefusalError } from '../../../shared/errors.js';
import type { WorkPool } from '../../supervision/work-pool.js';
import { parseRequest } from '../../protocol/parse-request.js';
import { sessionIdField } from '../../protocol/request-fields.js';
import { BackupError } from '../../sessions/backup/backup-reader.js';
import { backupOf } from '../../sessions/backup/backup-writer.js';
import { SessionRestore } from '../../sessions/backup/session-restore.js';
import type { KeptSession, SessionStore } from '../../sessions/session-store.js';
import type { Log } from '../../logging/log.js';
import { adminRoute, adminStream, type AdminRoute } from '../admin-route.js';
import { limitField, positionSchema, reasonBody } from '../schemas.js';
import { withFewerTopics } from './fewer-topics.js';

interface SessionRouteDependencies {
  readonly store: SessionStore;
  /** Runs backups and restores, which are slow work. */
  readonly pool: Pick<WorkPool, 'run'>;
  readonly replicaId: string;
  readonly now: () => number;
  readonly log: Log;
}

const sessionSchema = z.object({
  id: z.string(),
  user_id: z.string(),
  topics: z.record(z.string(), positionSchema),
  created_at: z.number().describe('Milliseconds since 1970; 0: not known.'),
  updated_at: z.number(),
  inbox: positionSchema
    .optional()
    .describe('Where the inbox of the user was when the client was last connected.'),
  generation: z.int().optional().describe('How often it has been resumed or started.'),
  owner: z
    .string()
    .nullable()
    .optional()
    .describe('The connection that holds it, with its replica after the @; null while there is none.'),
  expires_in_secs: z.int().nullable().describe('null: it does not expire.'),
});

const listedSchema = sessionSchema.extend({
  topics_left_out: z
    .int()
    .optional()
    .describe(
      'Topics that are not shown, because the answer would be too large; GET /admin/sessions/:id has them.',
    ),
});

const restoreQuery = z.strictObject({
  overwrite: z
    .enum(['true', 'false'])
    .default('false')
    .describe('Overwrite stored sessions that are newer than those of the backup.'),
});

const sessionParam = z.object({ id: sessionIdField });

/** Time limit of a backup or a restore, in milliseconds. */
const limitMs = 3_600_000;

/** Sessions that are read at once. Each can be large. */
const readSize = 100;
/** Reads for one answer; after that the answer ends with a cursor. */
const readsMax = 1000;

/** Sessions: listing, deleting, backup and restore. */
export function sessionRoutes(
  { store, pool, replicaId, now, log }: SessionRouteDependencies,
  { answerBytes }: { readonly answerBytes: number },
): readonly AdminRoute[] {
  return [
    adminRoute({
      method: 'get',
      path: '/sessions',
      role: 'viewer',
      summary: 'Sessions, unordered, page by page. A session that is written meanwhile may be listed twice.',
      query: z.strictObject({
        user_id: z.string().optional(),
        cursor: z
          .string()
          .regex(/^(?:(?:\d{1,4}-)?\d{1,20})?$/, 'must be empty, or the cursor of an earlier answer')
          .optional(),
        limit: limitField(100, 1000).describe('Approximate number of sessions per page, at most 1000.'),
      }),
      answer: z.object({
        sessions: z.array(listedSchema),
        count: z.int().optional().describe('Approximate number of all sessions; only with the first page.'),
        cursor: z.string().nullable().describe('Cursor of the next page; null after the last page.'),
      }),
      run: async ({ query }) => {
        const found: KeptSession[] = [];
        let cursor = query.cursor || undefined;
        let bytes = 0;
        const size = query.user_id === undefined ? Math.min(query.limit, readSize) : readSize;
        for (let reads = 0; reads < readsMax; reads++) {
          const page = await store.page(cursor, size);
          cursor = page.next;
          for (const session of page.sessions) {
            if (query.user_id !== undefined && session.user_id !== query.user_id) continue;
            found.push(session);
            bytes += Buffer.byteLength(JSON.stringify(session));
          }
          // One more read, if it finds as much as those before, would be too much for the answer.
          const isFull = bytes + bytes / (reads + 1) > answerBytes;
          if (cursor === undefined || found.length >= query.limit || isFull) break;
        }
        return {
          sessions: withFewerTopics(found, answerBytes),
          ...((query.cursor ?? '') === '' && { count: await store.count() }),
          cursor: cursor ?? null,
        };
      },
    }),
    adminStream({
      method: 'get',
      path: '/sessions/backup',
      role: 'admin',
      summary: 'All sessions as one JSON document, for POST /admin/sessions/restore.',
      answer: z.object({
        format: z.literal('rtc-sessions'),
        version: z.literal(1),
        created_at: z.number(),
        replica_id: z.string().nullable(),
        sessions: z.array(sessionSchema),
        malformed: z.int().describe('Entries of the store that are not sessions; they are left out.'),
        count: z.int().describe('At the end of the document; a truncated document lacks it.'),
      }),
      stream: async (_request, response) => {
        const counts = { sessions: 0, malformed: 0 };
        const createdAt = now();
        const text = backupOf(store, { createdAt, replicaId }, counts);
        // A failure before this point becomes an error answer.
        const first = await text.next();
        const name = `sessions-${new Date(createdAt).toISOString().replace(/[:.]/g, '-')}.json`;
        response.attachment(name).type('application/json');
        const all = async function* () {
          if (first.done !== true) yield first.value;
          yield* text;
        };
        await pool.run((signal) => pipeline(Readable.from(all()), response, { signal }), limitMs);
        log.info('Sessions backed up', { ...counts });
      },
    }),
    adminStream({
      method: 'post',
      path: '/sessions/restore',
      role: 'admin',
      summary: 'Restore a backup of sessions, or a plain array of them, of any length.',
      query: restoreQuery,
      body: z
        .union([z.array(z.unknown()), z.looseObject({ sessions: z.array(z.unknown()) })])
        .describe('The answer of `GET /admin/sessions/backup`, or its list `sessions` alone.'),
      answer: z.object({
        restored: z.int(),
        kept: z.int().describe('Not written, because the stored session was newer.'),
        invalid: z.int(),
        errors: z
          .array(
            z.object({
              index: z.int().describe('Index in the file, from 0.'),
              id: z.string().optional(),
              field: z.string(),
              rule: z.string(),
            }),
          )
          .describe('The first invalid sessions.'),
      }),
      stream: async (request, response) => {
        const query = parseRequest(restoreQuery, request.query);
        const restore = new SessionRestore(
          { putMany: (sessions, options) => store.putMany(sessions, options) },
          { overwrite: query.overwrite === 'true' },
        );
        try {
          await pool.run(() => restore.run(bodyOf(request)), limitMs);
        } catch (error) {
          throw explained(error, restore);
        } finally {
          const { restored, kept, invalid } = restore.progress;
          log.info('Sessions restored', { restored, kept, invalid });
        }
        const { handled: _handled, ...report } = restore.progress;
        response.json(report);
      },
    }),
    adminRoute({
      method: 'get',
      path: '/sessions/:id',
      role: 'viewer',
      summary: 'One session.',
      params: sessionParam,
      answer: sessionSchema,
      run: async ({ params }) => {
        const session = await store.find(params.id);
        if (session === undefined) throw noSession(params.id);
        return session;
      },
    }),
    adminRoute({
      method: 'delete',
      path: '/sessions/:id',
      role: 'operator',
      summary:
        'Delete a session: it can no longer be resumed. While its client is connected it is written again.',
      params: sessionParam,
      body: reasonBody,
      answer: z.object({ deleted: z.string() }),
      run: async ({ params }) => {
        if (!(await store.delete(params.id))) throw noSession(params.id);
        return { deleted: params.id };
      },
    }),
  ];
}

/**
 * The body as chunks. If reading stops early the connection stays open, so that the client can read the
 * error.
 */
function bodyOf(request: Request): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => request.iterator({ destroyOnReturn: false }) };
}

/** Adds the progress of the restore to an error. */
function explained(error: unknown, restore: SessionRestore): unknown {
  const { restored, kept, invalid } = restore.progress;
  const before = `before that ${restored} restored, ${kept} kept, ${invalid} invalid`;
  if (error instanceof BackupError) return new RefusalError('invalid_json', `${error.message}; ${before}`);
  if (error instanceof RefusalError)
    return new RefusalError(error.code, `${error.message}; ${before}`, error.details);
  return error;
}

function noSession(id: string): RefusalError {
  return new RefusalError('not_found', `there is no session ${id}`);
}
