import type { PresenceChange, PresenceStore, PresenceTransition } from '../../presence/presence-store.js';

/** Presence of a replica that runs alone. */
export class MemoryPresenceStore implements PresenceStore {
  private readonly topics = new Map<string, Map<string, number>>();

  async apply(topic: string, changes: readonly PresenceChange[]): Promise<PresenceTransition[]> {
    const users = this.topics.get(topic) ?? new Map<string, number>();
    const transitions: PresenceTransition[] = [];
    for (const { userId, connections } of changes) {
      const before = users.get(userId) ?? 0;
      if (connections > 0) users.set(userId, connections);
      else users.delete(userId);
      if (before === 0 && connections > 0) transitions.push({ userId, event: 'join', connections });
      if (before > 0 && connections === 0) transitions.push({ userId, event: 'leave', connections });
    }
    if (users.size > 0) this.topics.set(topic, users);
    else this.topics.delete(topic);
    return transitions;
  }

  async read(topic: string): Promise<Map<string, number>> {
    return new Map(this.topics.get(topic));
  }
}
