import { PresencePage } from './presence-page.js';
import type { PresencePageRequest } from './presence-reader.js';
import type { PresenceChange, PresenceCounts } from './presence-store.js';

interface LocalUser {
  connections: number;
  /** A number above zero may be stored. */
  isStored: boolean;
}

interface LocalTopic {
  /** Also users who have left, until that is stored. */
  readonly users: Map<string, LocalUser>;
  /** Number of users with connections. */
  present: number;
  /** Users whose number is still to be stored. */
  changed: Set<string>;
}

/** What is to be stored of a topic. */
interface TopicChanges {
  readonly changes: readonly PresenceChange[];
  readonly isLast: boolean;
}

/** The users of each topic on this replica: what is true, what is stored of it, and what is still to be stored. */
export class LocalPresence {
  private readonly topics = new Map<string, LocalTopic>();
  private readonly changedTopics = new Set<string>();

  /** Topics of which something is to be stored. */
  changed(): string[] {
    return [...this.changedTopics];
  }

  get hasChanges(): boolean {
    return this.changedTopics.size > 0;
  }

  hasChanged(topic: string): boolean {
    return this.changedTopics.has(topic);
  }

  names(): Iterable<string> {
    return this.topics.keys();
  }

  count(topic: string, userId: string, by: 1 | -1): void {
    const { users } = this.topic(topic);
    this.set(topic, userId, Math.max(0, (users.get(userId)?.connections ?? 0) + by));
  }

  /** All connections are gone. */
  clear(): void {
    for (const [topic, { users }] of this.topics)
      for (const userId of users.keys()) this.set(topic, userId, 0);
  }

  /** Compares a topic with what is stored; what differs is to be stored. */
  compare(topic: string, stored: ReadonlyMap<string, number>): void {
    const local = this.topics.get(topic);
    if (local === undefined && stored.size === 0) return;
    const { users } = this.topic(topic);
    for (const userId of stored.keys()) {
      const user = users.get(userId);
      if (user !== undefined) user.isStored = true;
      else users.set(userId, { connections: 0, isStored: true });
    }
    for (const [userId, { connections }] of users)
      if ((stored.get(userId) ?? 0) !== connections) this.mark(topic, userId);
  }

  /** The store has lost a topic. */
  lost(topic: string): void {
    for (const userId of this.topics.get(topic)?.users.keys() ?? []) this.mark(topic, userId);
  }

  /** A user whose number is stored; undefined if there is none, or it is uncertain. */
  storedUser(topic: string): string | undefined {
    const { users, changed } = this.topics.get(topic) ?? {};
    for (const [userId, { connections, isStored }] of users ?? [])
      return connections > 0 && isStored && changed?.has(userId) !== true ? userId : undefined;
    return undefined;
  }

  /** Takes what is to be stored of a topic; undefined if there is nothing. */
  take(topic: string): TopicChanges | undefined {
    this.changedTopics.delete(topic);
    const local = this.topics.get(topic);
    if (local === undefined) return undefined;
    const changes: PresenceChange[] = [];
    for (const userId of local.changed) {
      const user = local.users.get(userId);
      if (user === undefined) continue;
      const { connections, isStored } = user;
      if (connections === 0 && !isStored) local.users.delete(userId);
      else changes.push({ userId, connections, wasStored: isStored });
      // From now on it may be: the answer can get lost.
      if (connections > 0) user.isStored = true;
    }
    local.changed = new Set();
    if (local.users.size === 0) this.topics.delete(topic);
    return changes.length > 0 ? { changes, isLast: local.present === 0 } : undefined;
  }

  /** Changes that were taken are stored. */
  written(topic: string, changes: readonly PresenceChange[]): void {
    const local = this.topics.get(topic);
    if (local === undefined) return;
    for (const { userId, connections } of changes) {
      const user = local.users.get(userId);
      if (connections > 0 || user === undefined) continue;
      if (user.connections > 0) user.isStored = false;
      else local.users.delete(userId);
    }
    if (local.users.size === 0) this.topics.delete(topic);
  }

  /** Changes that were taken may not be stored. */
  failed(topic: string, changes: readonly PresenceChange[]): void {
    for (const { userId } of changes) this.mark(topic, userId);
  }

  /** The first users of this replica. They have no cursor: the next page may come from the store again. */
  page(topic: string, limits: PresencePageRequest): PresenceCounts {
    const { users, present } = this.topics.get(topic) ?? { users: new Map<string, LocalUser>(), present: 0 };
    const page = new PresencePage(limits);
    for (const [userId, { connections }] of users) {
      if (connections === 0) continue;
      if (!page.fits([userId])) break;
      page.add(userId, connections);
    }
    return { counts: page.counts, total: present, next: undefined };
  }

  private set(topic: string, userId: string, connections: number): void {
    const local = this.topic(topic);
    const user = local.users.get(userId);
    const before = user?.connections ?? 0;
    if (before === 0 && connections > 0) local.present++;
    if (before > 0 && connections === 0) local.present--;
    if (user === undefined) local.users.set(userId, { connections, isStored: false });
    else user.connections = connections;
    this.mark(topic, userId);
  }

  private mark(topic: string, userId: string): void {
    this.topic(topic).changed.add(userId);
    this.changedTopics.add(topic);
  }

  private topic(topic: string): LocalTopic {
    let local = this.topics.get(topic);
    if (local === undefined) {
      local = { users: new Map(), present: 0, changed: new Set() };
      this.topics.set(topic, local);
    }
    return local;
  }
}
