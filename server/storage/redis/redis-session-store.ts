import { readSession } from '../../sessions/session-schema.js';
import type {
  KeptSession,
  PutResult,
  SessionDrops,
  SessionLimits,
  SessionPage,
  SessionStore,
  StoredSession,
} from '../../sessions/session-store.js';
import { ResponseLostError, type RedisLink } from './redis-link.js';
import { RedisScript } from './redis-script.js';

const prefix = 'session:';
/** Sessions written by one call. Redis is blocked during a call, so the number is small. */
const writeSize = 100;
/** Calls in flight at the same time. */
const writesMax = 10;
const countSize = 5000;

interface RedisSessionStoreDependencies {
  readonly link: RedisLink;
  /** Throws if no more sessions are stored, because the memory of Redis is full. */
  readonly checkRoom?: () => void;
  readonly drops?: SessionDrops;
}

interface RedisSessionStoreSettings {
  readonly keyPrefix: string;
  readonly ttlMs: number;
  readonly limits: SessionLimits;
}

/**
 * Sessions in Redis, as JSON under `session:<id>`. Those whose clients are not connected are in an index of
 * their user too, see `lua/put-sessions.lua`. Replicas of version 0.1 write sessions without it.
 */
export class RedisSessionStore implements SessionStore {
  private readonly putScript = new RedisScript('put-sessions');
  private readonly link: RedisLink;

  constructor(
    private readonly dependencies: RedisSessionStoreDependencies,
    private readonly settings: RedisSessionStoreSettings,
  ) {
    this.link = dependencies.link;
  }

  async get(id: string): Promise<StoredSession | undefined> {
    return parse(id, await this.call<string | null>(['GET', keyOf(id)]));
  }

  async put(session: StoredSession, isConnected = false): Promise<void> {
    this.dependencies.checkRoom?.();
    await this.write([session], { overwrite: true, isConnected });
  }

  async putMany(
    sessions: readonly StoredSession[],
    { overwrite }: { readonly overwrite: boolean },
  ): Promise<PutResult> {
    this.dependencies.checkRoom?.();
    let kept = 0;
    for (let start = 0; start < sessions.length; start += writeSize * writesMax) {
      const calls: Promise<number>[] = [];
      const end = Math.min(sessions.length, start + writeSize * writesMax);
      for (let i = start; i < end; i += writeSize)
        calls.push(
          this.write(sessions.slice(i, Math.min(end, i + writeSize)), { overwrite, isConnected: false }),
        );
      for (const count of await Promise.all(calls)) kept += count;
    }
    return { written: sessions.length - kept, kept };
  }

  async find(id: string): Promise<KeptSession | undefined> {
    return (await this.read([id])).sessions[0];
  }

  async delete(id: string): Promise<boolean> {
    return (await this.call<number>(['DEL', keyOf(id)])) === 1;
  }

  async count(): Promise<number> {
    let count = 0;
    let cursor = '0';
    do {
      const [next, keys] = await this.scan(cursor, countSize);
      count += keys.length;
      cursor = next;
    } while (cursor !== '0');
    return count;
  }

  async page(cursor: string | undefined, size: number): Promise<SessionPage> {
    const [next, keys] = await this.scan(cursor ?? '0', size);
    // SCAN may return a key twice.
    const ids = [...new Set(keys)].map((key) => key.slice(prefix.length));
    return { ...(await this.read(ids)), next: next === '0' ? undefined : next };
  }

  private scan(cursor: string, size: number): Promise<[next: string, keys: string[]]> {
    return this.call(['SCAN', cursor, 'MATCH', `${prefix}*`, 'COUNT', String(size)]);
  }

  private async read(ids: readonly string[]): Promise<Omit<SessionPage, 'next'>> {
    if (ids.length === 0) return { sessions: [], malformed: 0 };
    const keys = ids.map(keyOf);
    const [texts, ...timesMs] = await Promise.all([
      this.call<(string | null)[]>(['MGET', ...keys]),
      ...keys.map((key) => this.call<number>(['PTTL', key])),
    ]);
    const sessions: KeptSession[] = [];
    let malformed = 0;
    ids.forEach((id, i) => {
      const timeMs = timesMs[i]!;
      // The session was deleted after SCAN returned its key.
      if (timeMs === missingKey) return;
      const session = parse(id, texts[i] ?? null);
      if (session === undefined) malformed++;
      else sessions.push({ ...session, expires_in_secs: timeMs < 0 ? null : Math.ceil(timeMs / 1000) });
    });
    return { sessions, malformed };
  }

  /** Resolves to the number of stored sessions that were kept. */
  private async write(
    sessions: readonly StoredSession[],
    { overwrite, isConnected }: { readonly overwrite: boolean; readonly isConnected: boolean },
  ): Promise<number> {
    const { keyPrefix, ttlMs, limits } = this.settings;
    const keys = sessions.flatMap(({ id, user_id }) => {
      const index = `${keyPrefix}:sessions:{${user_id}}`;
      return [keyOf(id), index, `${index}:bytes`];
    });
    const args = sessions.flatMap((session) => [
      session.id,
      JSON.stringify(session),
      String(session.updated_at),
      `"user_id":${JSON.stringify(session.user_id)}`,
    ]);
    const settings = [ttlMs, overwrite ? 1 : 0, isConnected ? 1 : 0, limits.userSessions, limits.userBytes];
    const [kept, ...dropped] = await this.answered(
      this.putScript.run<number[]>(this.link, keys, [...settings.map(String), prefix, ...args]),
    );
    dropped.forEach((count, i) => {
      if (count > 0) this.dependencies.drops?.ofUser(sessions[i]!.user_id, count);
    });
    return kept!;
  }

  private call<Reply>(args: string[]): Promise<Reply> {
    return this.answered(this.link.call<Reply>(args));
  }

  /** A lost response does not matter here: each of these calls can be repeated. */
  private async answered<Reply>(reply: Promise<Reply>): Promise<Reply> {
    try {
      return await reply;
    } catch (error) {
      throw error instanceof ResponseLostError ? this.link.unavailable(error) : error;
    }
  }
}

/** The reply of PTTL for a key that does not exist. */
const missingKey = -2;

function keyOf(id: string): string {
  return prefix + id;
}

function parse(id: string, text: string | null): StoredSession | undefined {
  if (text === null) return undefined;
  try {
    const read = readSession(JSON.parse(text));
    return 'session' in read && read.session.id === id ? read.session : undefined;
  } catch {
    return undefined;
  }
}
