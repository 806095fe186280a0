import type { SessionStore, StoredSession } from '../sessions/session-store.js';

/** Sessions of a replica that is alone; gone with it. */
export class MemorySessionStore implements SessionStore {
  private readonly sessions = new Map<string, { session: StoredSession; expiresMs: number }>();

  constructor(
    private readonly dependencies: { readonly nowMs: () => number },
    private readonly settings: { readonly ttlMs: number },
  ) {}

  async get(id: string): Promise<StoredSession | undefined> {
    const kept = this.sessions.get(id);
    return kept !== undefined && kept.expiresMs > this.dependencies.nowMs() ? kept.session : undefined;
  }

  async put(session: StoredSession): Promise<void> {
    const nowMs = this.dependencies.nowMs();
    this.sessions.delete(session.id);
    this.sessions.set(session.id, { session, expiresMs: nowMs + this.settings.ttlMs });
    // In order of expiry: the expired ones are in front.
    for (const [id, { expiresMs }] of this.sessions) {
      if (expiresMs > nowMs) break;
      this.sessions.delete(id);
    }
  }
}
