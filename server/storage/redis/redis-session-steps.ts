import { headerOf, bodyOf, textOf } from '../../sessions/session-text.js';
import type { SessionLease } from '../../sessions/session-lease.js';
import type { StoredSession } from '../../sessions/session-store.js';
import { RedisScript } from './redis-script.js';
import type { RedisStore } from './redis-store.js';

interface SessionStepsSettings {
  readonly keyOf: (id: string) => string;
  readonly indexOf: (userId: string) => string;
  readonly ttlMs: number;
  /** Sessions of a user at most, and their bytes. */
  readonly limits: readonly string[];
  /** The member of the JSON of a session that names its user. */
  readonly memberOf: (userId: string) => string;
}

/**
 * Writes of sessions in a Redis Cluster, where a session and the index of its user are in different slots: first the
 * session, then the index, then what is too much is dropped. A replica that ends in between leaves a session that the
 * limits of its user do not count, until it expires.
 */
export class RedisSessionSteps {
  private readonly saveScript = new RedisScript('session-save');
  private readonly putScript = new RedisScript('session-put');
  private readonly indexScript = new RedisScript('session-index');
  private readonly dropScript = new RedisScript('session-drop');

  constructor(
    private readonly link: RedisStore,
    private readonly settings: SessionStepsSettings,
  ) {}

  /** Resolves to the number of sessions that were dropped; -1 if it was not written. */
  async save(session: StoredSession, by: SessionLease): Promise<number> {
    const text = textOf(session);
    const args = [String(this.settings.ttlMs), String(by.generation), headerOf(by), text];
    const key = this.settings.keyOf(session.id);
    if ((await this.saveScript.run<number>(this.link, [key], args)) !== 1) return -1;
    const isHeld = (session.owner ?? null) !== null;
    return this.index(session, isHeld ? undefined : Buffer.byteLength(text));
  }

  /**
   * For each session the number of those that were dropped for it; undefined if the stored one was kept. The later ones
   * of a user count as the newer ones.
   */
  async putMany(sessions: readonly StoredSession[], overwrite: boolean): Promise<(number | undefined)[]> {
    const results = await Promise.all(sessions.map((session) => this.put(session, overwrite)));
    const last = new Map<string, Promise<unknown>>();
    return Promise.all(
      sessions.map((session, i) => {
        const [kept, held, bytes] = results[i]!;
        if (kept === 1) return undefined;
        const before = last.get(session.user_id) ?? Promise.resolve();
        const indexed = before.then(() => this.index(session, held === 1 ? undefined : bytes));
        last.set(session.user_id, indexed);
        return indexed;
      }),
    );
  }

  private put(
    session: StoredSession,
    overwrite: boolean,
  ): Promise<[kept: number, held: number, bytes: number]> {
    const { ttlMs, keyOf } = this.settings;
    const args = [String(ttlMs), overwrite ? '1' : '0', bodyOf(session), String(session.updated_at)];
    return this.putScript.run(this.link, [keyOf(session.id)], args);
  }

  /** `bytes`: undefined if the session is held, and leaves the index. */
  private async index({ id, user_id: userId }: StoredSession, bytes: number | undefined): Promise<number> {
    const { ttlMs, limits, keyOf, indexOf, memberOf } = this.settings;
    const index = indexOf(userId);
    const size = bytes === undefined ? '' : String(bytes);
    const args = [String(ttlMs), ...limits, id, size];
    const dropped = await this.indexScript.run<string[]>(this.link, [index, `${index}:bytes`], args);
    const member = memberOf(userId);
    await Promise.all(dropped.map((other) => this.dropScript.run(this.link, [keyOf(other)], [member])));
    return dropped.length;
  }
}
