import { ErrorReply } from 'redis';
import { leaseOf, type SessionLease } from '../../sessions/session-lease.js';
import {
  bodyOf,
  hasNoState,
  headerOf,
  parseSession,
  retiredText,
  textOf,
  withoutState,
} from '../../sessions/session-text.js';
import {
  NoRoomError,
  type KeptSession,
  type PutResult,
  type SessionDrops,
  type SessionLimits,
  type SessionPage,
  type SessionStore,
  type StoredSession,
} from '../../sessions/session-store.js';
import { ResponseLostError } from './redis-commands.js';
import { RedisScript } from './redis-script.js';
import { RedisSessionSteps } from './redis-session-steps.js';
import type { RedisNode, RedisStore } from './redis-store.js';

/** Where version 0.1 has its sessions, for all key prefixes. They are read, and written under the new key. */
const formerPrefix = 'session:';
/** Sessions written by one call. Redis is blocked during a call, so the number is small. */
const writeSize = 100;
/** Calls in flight at the same time. */
const writesMax = 10;
const countSize = 5000;

interface RedisSessionStoreDependencies {
  readonly link: RedisStore;
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
 * Sessions in Redis, as JSON under `<key prefix>:session:<id>`. Those whose clients are not connected are in an
 * index of their user too, see `lua/includes/session-index.lua`.
 */
export class RedisSessionStore implements SessionStore {
  private readonly putScript = new RedisScript('put-sessions');
  private readonly saveScript = new RedisScript('save-session');
  private readonly forgetScript = new RedisScript('forget-session');
  private readonly claimScript = new RedisScript('claim-session');
  private readonly link: RedisStore;
  /** Undefined where one script can do it all. */
  private readonly steps: RedisSessionSteps | undefined;
  private readonly prefix: string;
  private readonly ttl: string;
  /** Sessions of a user at most, and their bytes. */
  private readonly limits: readonly string[];
  /** Whether this user of Redis may read the keys of version 0.1. */
  private mayReadFormer: boolean;

  constructor(
    private readonly dependencies: RedisSessionStoreDependencies,
    private readonly settings: RedisSessionStoreSettings,
  ) {
    const { ttlMs, keyPrefix, limits } = settings;
    this.link = dependencies.link;
    this.ttl = String(ttlMs);
    this.prefix = `${keyPrefix}:session:`;
    this.limits = [limits.userSessions, limits.userBytes].map(String);
    this.steps = this.link.isCluster
      ? new RedisSessionSteps(this.link, {
          ...{ ttlMs, memberOf, limits: this.limits },
          keyOf: (id) => this.keyOf(id),
          indexOf: (userId) => this.indexOf(userId),
        })
      : undefined;
    // Version 0.1 does not know clusters.
    this.mayReadFormer = !this.link.isCluster;
  }

  async get(id: string): Promise<StoredSession | undefined> {
    const text = await this.call<string | null>(['GET', this.keyOf(id)]).catch(ifWrongType);
    if (text !== null) return parseSession(id, text);
    const former = await this.former(['GET', formerPrefix + id]);
    return typeof former === 'string' ? parseSession(id, former) : undefined;
  }

  async save(session: StoredSession, by: SessionLease): Promise<boolean> {
    const dropped = await this.ifRoom(() => this.steps?.save(session, by) ?? this.saveAtOnce(session, by));
    const { user_id: userId } = session;
    if (dropped > 0) this.dependencies.drops?.ofUser(userId, dropped);
    return dropped >= 0;
  }

  private saveAtOnce(session: StoredSession, by: SessionLease): Promise<number> {
    const { id, user_id: userId, owner = null } = session;
    const writer = [String(by.generation), headerOf(by)];
    const written = [id, textOf(session), memberOf(userId), owner === null ? '0' : '1'];
    const args = [this.ttl, ...this.limits, this.prefix, ...writer, ...written];
    return this.saveScript.run<number>(this.link, this.keysOf(session), args);
  }

  async forget(id: string, by: SessionLease): Promise<void> {
    await this.answered(
      this.forgetScript.run(this.link, [this.keyOf(id)], [headerOf(by), withoutState(by), this.ttl]),
    );
  }

  async claim(known: StoredSession, lease: SessionLease): Promise<StoredSession | undefined> {
    const isFirst = known.generation === undefined;
    const knownHeader = isFirst ? '' : headerOf(leaseOf(known));
    // A session of version 0.1 is stored under its new key. The other one expires.
    const fallback = isFirst ? textOf({ ...known, ...lease }) : '';
    const args = [this.ttl, knownHeader, headerOf(lease), fallback];
    const text = await this.answered<string | null>(
      this.claimScript.run(this.link, [this.keyOf(known.id)], args),
    );
    if (text === null) return undefined;
    if (isFirst) await this.former(['DEL', formerPrefix + known.id]);
    return parseSession(known.id, text);
  }

  async retire(id: string): Promise<void> {
    await this.call(['SET', this.keyOf(id), retiredText, 'PX', this.ttl]);
  }

  async putMany(
    sessions: readonly StoredSession[],
    { overwrite }: { readonly overwrite: boolean },
  ): Promise<PutResult> {
    this.dependencies.checkRoom?.();
    let kept = 0;
    // In steps, calls at the same time would not keep the order.
    const size = writeSize * (this.steps === undefined ? writesMax : 1);
    for (let start = 0; start < sessions.length; start += size) {
      const calls: Promise<number>[] = [];
      const end = Math.min(sessions.length, start + size);
      for (let i = start; i < end; i += writeSize)
        calls.push(this.write(sessions.slice(i, Math.min(end, i + writeSize)), overwrite));
      for (const count of await Promise.all(calls)) kept += count;
    }
    return { written: sessions.length - kept, kept };
  }

  async find(id: string): Promise<KeptSession | undefined> {
    return (await this.read([id])).sessions[0];
  }

  async leftOf(userId: string, limit: number): Promise<readonly StoredSession[]> {
    const ids = await this.call<string[]>(['ZRANGE', this.indexOf(userId), String(-limit), '-1']);
    const { sessions } = await this.read(ids);
    // One may have been resumed, or belong to somebody else since a restore.
    return sessions.filter(
      ({ user_id: owner, ...session }) => owner === userId && leaseOf(session).owner === null,
    );
  }

  async delete(id: string): Promise<boolean> {
    const session = await this.get(id);
    const deleted = await this.call<number>(['DEL', this.keyOf(id)]);
    const former = await this.former(['DEL', formerPrefix + id]);
    return session !== undefined || deleted === 1 || former === 1;
  }

  async count(): Promise<number> {
    let count = 0;
    let cursor: string | undefined;
    do {
      const [next, keys] = await this.scan(cursor, countSize);
      count += keys.length;
      cursor = next;
    } while (cursor !== undefined);
    return count;
  }

  async page(cursor: string | undefined, size: number): Promise<SessionPage> {
    const [next, keys] = await this.scan(cursor, size);
    const ids = [...new Set(keys.map((key) => this.idOf(key)!))];
    return { ...(await this.read(ids)), next };
  }

  /**
   * Keys of sessions, those of version 0.1 included. SCAN may return a key twice. The nodes of a cluster are read one
   * after the other: the cursor begins with the number of nodes that are done.
   */
  private async scan(
    from: string | undefined,
    size: number,
  ): Promise<[next: string | undefined, keys: string[]]> {
    const nodes = this.link.nodes();
    const [place = '0', cursor = '0'] =
      from === undefined ? [] : from.includes('-') ? from.split('-') : ['0', from];
    const node = nodes[Number(place)];
    if (node === undefined) return [undefined, []];
    const args = ['SCAN', cursor, 'MATCH', '*session:*', 'COUNT', String(size)];
    const [next, found] = await this.answered(node.call<[string, string[]]>(args));
    const keys = found.filter((key) => this.idOf(key) !== undefined);
    return [this.cursorAfter(Number(place), next, nodes), keys];
  }

  private cursorAfter(place: number, cursor: string, nodes: readonly RedisNode[]): string | undefined {
    if (cursor === '0') return place + 1 < nodes.length ? `${place + 1}-0` : undefined;
    return this.link.isCluster ? `${place}-${cursor}` : cursor;
  }

  private keyOf(id: string): string {
    return this.prefix + id;
  }

  private idOf(key: string): string | undefined {
    if (key.startsWith(this.prefix)) return key.slice(this.prefix.length);
    return this.mayReadFormer && key.startsWith(formerPrefix) ? key.slice(formerPrefix.length) : undefined;
  }

  private async read(ids: readonly string[]): Promise<Omit<SessionPage, 'next'>> {
    if (ids.length === 0) return { sessions: [], malformed: 0 };
    const keys = ids.map((id) => this.keyOf(id));
    const [texts, ...timesMs] = await Promise.all([
      this.texts(keys),
      ...keys.map((key) => this.call<number>(['PTTL', key])),
    ]);
    const sessions: KeptSession[] = [];
    let malformed = 0;
    await Promise.all(
      ids.map(async (id, i) => {
        let text = texts[i] ?? null;
        let timeMs = timesMs[i]!;
        if (timeMs === missingKey) {
          const key = formerPrefix + id;
          const [former, formerMs] = await Promise.all([
            this.former(['GET', key]),
            this.former(['PTTL', key]),
          ]);
          // The session was deleted after SCAN returned its key.
          if (formerMs === undefined || formerMs === missingKey) return;
          text = former as string | null;
          timeMs = formerMs as number;
        }
        if (hasNoState(text)) return;
        const session = text === null ? undefined : parseSession(id, text);
        if (session === undefined) malformed++;
        else sessions.push({ ...session, expires_in_secs: timeMs < 0 ? null : Math.ceil(timeMs / 1000) });
      }),
    );
    return { sessions, malformed };
  }

  private texts(keys: readonly string[]): Promise<(string | null)[]> {
    if (!this.link.isCluster) return this.call<(string | null)[]>(['MGET', ...keys]);
    // As MGET, which takes a value of another type for none.
    return Promise.all(keys.map((key) => this.call<string | null>(['GET', key]).catch(ifWrongType)));
  }

  /** Resolves to the number of stored sessions that were kept. */
  private async write(sessions: readonly StoredSession[], overwrite: boolean): Promise<number> {
    if (this.steps !== undefined) return this.writeInSteps(this.steps, sessions, overwrite);
    const keys = sessions.flatMap((session) => this.keysOf(session));
    const args = sessions.flatMap((session) => [
      session.id,
      bodyOf(session),
      String(session.updated_at),
      memberOf(session.user_id),
    ]);
    const settings = [this.ttl, overwrite ? '1' : '0', ...this.limits, this.prefix];
    const [kept, ...dropped] = await this.answered(
      this.putScript.run<number[]>(this.link, keys, [...settings, ...args]),
    );
    dropped.forEach((count, i) => {
      if (count > 0) this.dependencies.drops?.ofUser(sessions[i]!.user_id, count);
    });
    return kept!;
  }

  private async writeInSteps(
    steps: RedisSessionSteps,
    sessions: readonly StoredSession[],
    overwrite: boolean,
  ): Promise<number> {
    const dropped = await this.answered(steps.putMany(sessions, overwrite));
    dropped.forEach((count, i) => {
      if (count !== undefined && count > 0) this.dependencies.drops?.ofUser(sessions[i]!.user_id, count);
    });
    return dropped.filter((count) => count === undefined).length;
  }

  /** The keys of a session in the scripts. */
  private keysOf({ id, user_id: userId }: StoredSession): [session: string, index: string, sizes: string] {
    const index = this.indexOf(userId);
    return [this.keyOf(id), index, `${index}:bytes`];
  }

  private indexOf(userId: string): string {
    // Braces of a user id would make another tag of it, or none. A single Redis keeps the keys it has.
    const tag = this.link.isCluster ? encodeURIComponent(JSON.stringify(userId)) : userId;
    return `${this.settings.keyPrefix}:sessions:{${tag}}`;
  }

  /**
   * A call for a key of version 0.1. Undefined if Redis refuses it: such a key may be of another type, and a
   * user of Redis who is limited to the key prefix has no such sessions.
   */
  private async former(args: string[]): Promise<unknown> {
    if (!this.mayReadFormer) return undefined;
    try {
      return await this.call(args);
    } catch (error) {
      if (!(error instanceof ErrorReply)) throw error;
      if (error.message.startsWith('NOPERM')) this.mayReadFormer = false;
      return undefined;
    }
  }

  private call<Reply>(args: string[]): Promise<Reply> {
    return this.answered(this.link.call<Reply>(args));
  }

  /** @throws NoRoomError if there is no room for a session */
  private async ifRoom<Reply>(run: () => Promise<Reply>): Promise<Reply> {
    try {
      this.dependencies.checkRoom?.();
    } catch (cause) {
      throw new NoRoomError('the memory of Redis is reserved', { cause });
    }
    try {
      return await this.answered(run());
    } catch (cause) {
      if (cause instanceof ErrorReply && /\bOOM\b/.test(cause.message))
        throw new NoRoomError('the memory of Redis is full', { cause });
      throw cause;
    }
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

/** A value of another type is no session. */
function ifWrongType(error: unknown): string {
  if (error instanceof ErrorReply && error.message.startsWith('WRONGTYPE')) return '';
  throw error;
}

/** The member of the JSON of a session that names its user. */
function memberOf(userId: string): string {
  return `"user_id":${JSON.stringify(userId)}`;
}
