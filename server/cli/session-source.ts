import { openRedisCluster } from '../storage/redis/cluster/open-redis-cluster.js';
import { redisConnector } from '../storage/redis/redis-connector.js';
import { readRedisTls } from '../storage/redis/redis-tls.js';
import { RedisLink } from '../storage/redis/redis-link.js';
import { RedisSessionStore } from '../storage/redis/redis-session-store.js';
import { redisAddressOf } from '../config/redis-address.js';
import type { Settings } from '../config/schema.js';
import { BackupError } from '../sessions/backup/backup-reader.js';
import { backupFormat, backupOf, countAtEnd } from '../sessions/backup/backup-writer.js';
import type { RestoreReport } from '../sessions/backup/session-restore.js';
import type { PutResult, StoredSession } from '../sessions/session-store.js';
import { CliError, notJsonError, redirectError, strangeAnswerError } from './cli-error.js';
import { exitCodes } from './exit-codes.js';
import { connectionProblemOf } from './target/connection-problem.js';
import { errorOf } from './target/service-client.js';
import { silentLog } from '../logging/log.js';

/** The source of sessions for the command line: Redis, or the admin API of a service. */
export interface SessionSource {
  /** Sessions per call. */
  readonly batchSize: number;
  /** The text of a backup; `onSessions` receives the number of sessions so far. */
  backup(onSessions: (count: number) => void): AsyncIterable<string | Uint8Array>;
  putMany(sessions: readonly StoredSession[], options: { readonly overwrite: boolean }): Promise<PutResult>;
  close(): Promise<void>;
}

const redisLimitMs = 5000;

/** Sessions in Redis; the service may be down. @throws Error if Redis does not answer. */
export async function sessionsInRedis(
  url: string,
  { redis, sessions }: Pick<Settings, 'redis' | 'sessions'>,
): Promise<SessionSource> {
  const { commandTimeoutMs, stallLimitMs } = redis;
  const address = redisAddressOf(redis, url);
  const tls = readRedisTls(redis);
  const link =
    address!.cluster === undefined
      ? new RedisLink(
          { log: silentLog, connector: redisConnector({ log: silentLog }, { address: address!, tls }) },
          { url, commandTimeoutMs, stallLimitMs },
        )
      : openRedisCluster({ log: silentLog, tls }, address!, redis);
  const { ttlSecs, maxPerUser, maxBytesPerUser } = sessions;
  const limits = { userSessions: maxPerUser, userBytes: maxBytesPerUser };
  const store = new RedisSessionStore(
    { link },
    { keyPrefix: redis.keyPrefix, ttlMs: ttlSecs * 1000, limits },
  );
  link.start();
  if (!(await link.whenUp(redisLimitMs))) {
    await link.close();
    throw new CliError(
      `Redis is unreachable: no answer within ${redisLimitMs} ms`,
      exitCodes.failed,
      'unreachable',
      'look at REDIS_URL or --redis: address, user and password; rtc doctor --redis URL looks further',
    );
  }
  return {
    batchSize: 1000,
    async *backup(onSessions) {
      const counts = { sessions: 0, malformed: 0 };
      for await (const text of backupOf(store, { createdAt: Date.now(), replicaId: null }, counts)) {
        onSessions(counts.sessions);
        yield text;
      }
    },
    putMany: (given, options) => store.putMany(given, options),
    close: () => link.close(),
  };
}

/** Sessions by way of the admin API of a service. The time limit is for the beginning of each answer. */
export function sessionsAt(
  url: string,
  { token, timeoutMs }: { readonly token: string; readonly timeoutMs: number },
): SessionSource {
  const authorization = { authorization: `Bearer ${token}` };
  return {
    batchSize: 5000,
    async *backup(onSessions) {
      const response = await call(
        new URL(`${url}/admin/sessions/backup`),
        { headers: authorization },
        timeoutMs,
      );
      let head = '';
      let lines = 0;
      let tail = '';
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
        if (head.length < beginning.length) {
          head += text.toString('latin1', 0, beginning.length);
          if (!beginning.startsWith(head.slice(0, beginning.length)))
            throw head.startsWith('{')
              ? strangeAnswerError(url, 'it is no backup of sessions')
              : notJsonError(url, response.status);
        }
        for (let at = text.indexOf(newline); at >= 0; at = text.indexOf(newline, at + 1)) lines++;
        // The first line is the header.
        onSessions(Math.max(0, lines - 1));
        tail = (tail + text.toString('latin1')).slice(-tailLength);
        yield chunk;
      }
      const count = countAtEnd(tail);
      if (count === undefined)
        throw new BackupError('the service ended the response in the middle of the backup');
      onSessions(count);
    },
    putMany: async (given, { overwrite }) => {
      const response = await call(
        new URL(`${url}/admin/sessions/restore?overwrite=${overwrite}`),
        {
          method: 'POST',
          headers: { ...authorization, 'content-type': 'application/json' },
          body: JSON.stringify(given),
          signal: AbortSignal.timeout(timeoutMs),
        },
        timeoutMs,
      );
      const answer = (await response.json().catch((error: unknown) => {
        if (error instanceof SyntaxError) throw notJsonError(url, response.status);
        throw error;
      })) as Partial<RestoreReport> | null;
      const { restored, kept, errors } = answer ?? {};
      if (restored === undefined || kept === undefined || errors === undefined)
        throw strangeAnswerError(url, 'it does not say what was restored');
      // A session that is valid here is valid in the service, unless that has another version.
      const [refused] = errors;
      if (refused !== undefined)
        throw new Error(`the service refuses session ${refused.id}: ${refused.field} ${refused.rule}`);
      return { written: restored, kept };
    },
    close: async () => {},
  };
}

/** Of every backup. */
const beginning = `{"format":"${backupFormat}"`;
const newline = 10;
const tailLength = 100;

/** The head of an answer in time. The timer also keeps the process alive where `fetch` forgets a closed connection. */
async function answered(url: URL, init: RequestInit, timeoutMs: number): Promise<Response> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(new DOMException('too late', 'TimeoutError')), timeoutMs);
  try {
    return await fetch(url, {
      ...init,
      // The token and the sessions are for this address.
      redirect: 'manual',
      signal: AbortSignal.any([limit.signal, init.signal ?? limit.signal]),
    });
  } finally {
    clearTimeout(timer);
  }
}

async function call(url: URL, init: RequestInit, timeoutMs: number): Promise<Response> {
  let response: Response;
  try {
    response = await answered(url, init, timeoutMs);
  } catch (error) {
    const { kind, reason } = connectionProblemOf(error, timeoutMs);
    throw new CliError(
      `${url.origin} cannot be reached: ${reason}`,
      exitCodes.failed,
      kind === 'timeout' ? 'timeout' : 'unreachable',
      'is the address right (--url), and is the service running? rtc doctor looks further',
    );
  }
  if (response.ok) return response;
  const location = response.headers.get('location');
  if (response.status >= 300 && response.status < 400 && location !== null)
    throw redirectError(url, location);
  const { code, message } = errorOf(await response.json().catch(() => undefined), response.status);
  throw new CliError(`${url.origin} answers ${response.status}: ${code}: ${message}`, exitCodes.failed, code);
}
