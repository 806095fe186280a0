import { PresencePage } from '../../presence/presence-page.js';
import type { PresencePageRequest } from '../../presence/presence-reader.js';
import type {
  PresenceChange,
  PresenceCounts,
  PresenceStore,
  PresenceTransition,
} from '../../presence/presence-store.js';

interface Present {
  connections: number;
  /** Ascends in the order in which users come: the cursor of a page. */
  readonly serial: number;
}

/** Presence of a replica that runs alone. Nothing is lost here. */
export class MemoryPresenceStore implements PresenceStore {
  readonly settleMs = 0;
  private readonly topics = new Map<string, Map<string, Present>>();
  private serial = 0;
  private listener: (topic: string, transitions: readonly PresenceTransition[]) => void = () => {};

  async apply(topic: string, changes: readonly PresenceChange[]): Promise<void> {
    const users = this.topics.get(topic) ?? new Map<string, Present>();
    const transitions: PresenceTransition[] = [];
    for (const { userId, connections } of changes) {
      const user = users.get(userId);
      const before = user?.connections ?? 0;
      if (connections === 0) users.delete(userId);
      else if (user === undefined) users.set(userId, { connections, serial: ++this.serial });
      else user.connections = connections;
      if (before === 0 && connections > 0) transitions.push({ userId, event: 'join', connections });
      if (before > 0 && connections === 0) transitions.push({ userId, event: 'leave', connections });
    }
    if (users.size > 0) this.topics.set(topic, users);
    else this.topics.delete(topic);
    if (transitions.length > 0) this.listener(topic, transitions);
  }

  async read(topic: string, request: PresencePageRequest): Promise<PresenceCounts> {
    const users = this.topics.get(topic) ?? new Map<string, Present>();
    const after = Number(request.cursor ?? 0);
    const page = new PresencePage(request);
    let last = after;
    for (const [userId, { connections, serial }] of users) {
      if (serial <= after) continue;
      if (!page.fits([userId])) return { counts: page.counts, total: users.size, next: String(last) };
      page.add(userId, connections);
      last = serial;
    }
    return { counts: page.counts, total: users.size, next: undefined };
  }

  async storedTopics(): Promise<string[]> {
    return [...this.topics.keys()];
  }

  async stored(topic: string): Promise<ReadonlyMap<string, number>> {
    const users = this.topics.get(topic) ?? new Map<string, Present>();
    return new Map([...users].map(([userId, { connections }]) => [userId, connections]));
  }

  async check(samples: readonly { readonly topic: string; readonly userId: string }[]): Promise<string[]> {
    return samples
      .filter(({ topic, userId }) => this.topics.get(topic)?.has(userId) !== true)
      .map(({ topic }) => topic);
  }

  onTransitions(listener: (topic: string, transitions: readonly PresenceTransition[]) => void): void {
    this.listener = listener;
  }

  onLost(): void {}

  followTopics(): void {}
}
