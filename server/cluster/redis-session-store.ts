import type { SessionStore, StoredSession } from '../sessions/session-store.js';
import type { RedisLink } from './redis-link.js';

/** Sessions in Redis, as JSON under `session:<id>`. */
export class RedisSessionStore implements SessionStore {
  constructor(
    private readonly link: RedisLink,
    private readonly settings: { readonly ttlMs: number },
  ) {}

  async get(id: string): Promise<StoredSession | undefined> {
    const text = await this.link.call<string | null>(['GET', `session:${id}`]);
    return text === null ? undefined : (JSON.parse(text) as StoredSession);
  }

  async put(session: StoredSession): Promise<void> {
    await this.link.call([
      'SET',
      `session:${session.id}`,
      JSON.stringify(session),
      'PX',
      String(this.settings.ttlMs),
    ]);
  }
}
