import { PresencePage } from './presence-page.js';
import type { PresenceAnswer, PresencePageRequest, PresenceReader } from './presence-reader.js';
import { RefusalError } from '../../shared/errors.js';
import type { Bus } from '../cluster/bus.js';
import type { Log } from '../logging/log.js';
import type { PresenceChange, PresenceCounts, PresenceStore, PresenceTransition } from './presence-store.js';

interface PresenceDependencies {
  readonly store: PresenceStore;
  readonly bus: Bus;
  readonly log: Log;
  /** Sends `presence` events to the connections of this replica that watch the topic. */
  readonly notify: (topic: string, event: object) => void;
}

const kind = 'presence';
/** Changes are collected for this long before they are written, in milliseconds. */
const lingerMs = 50;

/**
 * Maintains the users subscribed to each topic, for the whole cluster. Changes within a short time are
 * written together; reading costs one round trip.
 */
export class PresenceService implements PresenceReader {
  private readonly here = new Map<string, Map<string, number>>();
  private readonly changed = new Map<string, Set<string>>();
  private timer: NodeJS.Timeout | undefined;
  private shed = false;
  private closed = false;

  constructor(private readonly dependencies: PresenceDependencies) {
    dependencies.bus.on(kind, (data) =>
      this.announce(data as { topic: string; transitions: PresenceTransition[] }),
    );
  }

  joined(topic: string, userId: string): void {
    this.count(topic, userId, 1);
  }

  left(topic: string, userId: string): void {
    this.count(topic, userId, -1);
  }

  /**
   * Switches presence off, to reduce the load on the store, or on again: changes made in the meantime are
   * written then.
   */
  setShed(shed: boolean): void {
    if (shed === this.shed) return;
    this.shed = shed;
    if (!shed) this.rewrite();
  }

  /** @throws RefusalError `read_only` while presence is switched off */
  async of(topic: string, page: PresencePageRequest): Promise<PresenceAnswer> {
    if (this.shed) throw new RefusalError('read_only', 'presence is switched off by an operator');
    let read: PresenceCounts;
    let partial = false;
    try {
      await this.write(topic);
      read = await this.dependencies.store.read(topic, page);
    } catch (error) {
      this.dependencies.log.debug('Presence is known in part', { topic, error });
      read = this.countsHere(topic, page);
      partial = true;
    }
    const { counts, total, next } = read;
    const users = [...counts].map(([userId, connections]) => ({ user_id: userId, connections }));
    return {
      users,
      count: total,
      ...(partial && { partial: true as const }),
      ...((next !== undefined || (partial && total > users.length)) && { truncated: true as const }),
      ...(next !== undefined && { next: { cursor: next } }),
    };
  }

  /** The first users of this replica. They have no cursor: the next page may come from the store again. */
  private countsHere(topic: string, limits: PresencePageRequest): PresenceCounts {
    const here = this.here.get(topic) ?? new Map<string, number>();
    const page = new PresencePage(limits);
    for (const [userId, connections] of here) {
      if (!page.fits([userId])) break;
      page.add(userId, connections);
    }
    return { counts: page.counts, total: here.size, next: undefined };
  }

  /** Writes everything again, because the store may have lost it. */
  rewrite(): void {
    for (const [topic, users] of this.here)
      this.changed.set(topic, new Set([...(this.changed.get(topic) ?? []), ...users.keys()]));
    this.schedule();
  }

  /** Removes this replica's connections from the store. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.timer);
    for (const [topic, users] of this.here)
      this.changed.set(topic, new Set([...(this.changed.get(topic) ?? []), ...users.keys()]));
    this.here.clear();
    await this.writeAll();
  }

  private count(topic: string, userId: string, by: 1 | -1): void {
    const users = this.here.get(topic) ?? new Map<string, number>();
    const connections = (users.get(userId) ?? 0) + by;
    if (connections > 0) users.set(userId, connections);
    else users.delete(userId);
    if (users.size > 0) this.here.set(topic, users);
    else this.here.delete(topic);
    const changed = this.changed.get(topic);
    if (changed === undefined) this.changed.set(topic, new Set([userId]));
    else changed.add(userId);
    this.schedule();
  }

  private schedule(): void {
    if (this.closed || this.shed) return;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      void this.writeAll();
    }, lingerMs);
  }

  private async writeAll(): Promise<void> {
    await Promise.all(
      [...this.changed.keys()].map((topic) =>
        this.write(topic).catch((error: unknown) => {
          // `rewrite` writes it again when the store is reachable.
          this.dependencies.log.debug('Presence not written', { topic, error });
        }),
      ),
    );
  }

  private async write(topic: string): Promise<void> {
    const users = this.changed.get(topic);
    if (users === undefined) return;
    this.changed.delete(topic);
    const here = this.here.get(topic);
    const changes = [...users].map((userId): PresenceChange => ({
      userId,
      connections: here?.get(userId) ?? 0,
    }));
    try {
      const transitions = await this.dependencies.store.apply(topic, changes);
      if (transitions.length === 0) return;
      this.announce({ topic, transitions });
      this.dependencies.bus.broadcast(kind, { topic, transitions });
    } catch (error) {
      for (const userId of users) this.changed.set(topic, (this.changed.get(topic) ?? new Set()).add(userId));
      throw error;
    }
  }

  private announce({
    topic,
    transitions,
  }: {
    topic: string;
    transitions: readonly PresenceTransition[];
  }): void {
    for (const { userId, event, connections } of transitions) {
      this.dependencies.notify(topic, { topic, event, user_id: userId, connections });
    }
  }
}
