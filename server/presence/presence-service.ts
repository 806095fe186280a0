import { RefusalError } from '../../shared/errors.js';
import type { Log } from '../logging/log.js';
import { LocalPresence } from './local-presence.js';
import type { PresenceAnswer, PresencePageRequest, PresenceReader } from './presence-reader.js';
import type { PresenceCounts, PresenceStore } from './presence-store.js';
import { PresenceUpkeep } from './presence-upkeep.js';
import { PresenceViews } from './presence-views.js';

interface PresenceDependencies {
  readonly store: PresenceStore;
  readonly log: Log;
  /** Sends `presence` events to the connections of this replica that watch the topic. */
  readonly notify: (topic: string, event: object) => void;
}

/** Changes are collected for this long before they are written, in milliseconds. */
const lingerMs = 50;

/**
 * Maintains the users subscribed to each topic, for the whole cluster. Changes within a short time are
 * written together; reading costs one round trip.
 */
export class PresenceService implements PresenceReader {
  private readonly local = new LocalPresence();
  private readonly views: PresenceViews;
  private readonly upkeep: PresenceUpkeep;
  private timer: NodeJS.Timeout | undefined;
  private shed = false;
  private closed = false;

  constructor(private readonly dependencies: PresenceDependencies) {
    const { store, log } = dependencies;
    this.views = new PresenceViews({ ...dependencies, storedUser: (topic) => this.local.storedUser(topic) });
    this.upkeep = new PresenceUpkeep({ store, log, local: this.local });
    store.onTransitions((topic, transitions) => {
      if (!this.shed) this.views.receive(topic, transitions);
    });
    store.onLost(() => this.restore());
    store.followTopics(() => new Set([...this.local.names(), ...this.views.topics()]));
  }

  joined(topic: string, userId: string): void {
    this.count(topic, userId, 1);
  }

  left(topic: string, userId: string): void {
    this.count(topic, userId, -1);
  }

  /** A topic has its first watcher on this replica. */
  watched(topic: string): void {
    this.views.watched(topic);
  }

  /** A topic has no watcher on this replica any more. */
  unwatched(topic: string): void {
    this.views.unwatched(topic);
  }

  /**
   * Switches presence off, to reduce the load on the store, or on again: changes made in the meantime are
   * written then.
   */
  setShed(shed: boolean): void {
    if (shed === this.shed) return;
    this.shed = shed;
    this.upkeep.setPaused(shed);
    if (!shed) this.restore();
  }

  /** @throws RefusalError `read_only` while presence is switched off */
  async of(topic: string, page: PresencePageRequest): Promise<PresenceAnswer> {
    if (this.shed) throw new RefusalError('read_only', 'presence is switched off by an operator');
    let read: PresenceCounts;
    let partial = false;
    try {
      await this.upkeep.write(topic);
      read = await this.dependencies.store.read(topic, page);
    } catch (error) {
      this.dependencies.log.debug('Presence is known in part', { topic, error });
      read = this.local.page(topic, page);
      partial = true;
    }
    const { counts, total, next } = read;
    this.views.answered(topic, counts.keys());
    const users = [...counts].map(([userId, connections]) => ({ user_id: userId, connections }));
    return {
      users,
      count: total,
      ...(partial && { partial: true as const }),
      ...((next !== undefined || (partial && total > users.length)) && { truncated: true as const }),
      ...(next !== undefined && { next: { cursor: next } }),
    };
  }

  /** Stores what is missing, and notifies of what was missed: the store, or messages, may be lost. */
  restore(): void {
    if (this.closed || this.shed) return;
    void this.upkeep.restore();
    this.views.compareAllLater();
  }

  /** Removes this replica's connections from the store. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.timer);
    this.views.close();
    this.upkeep.close();
    this.local.clear();
    await this.upkeep.writeAll();
  }

  private count(topic: string, userId: string, by: 1 | -1): void {
    this.local.count(topic, userId, by);
    if (this.closed || this.shed) return;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      if (!this.shed) void this.upkeep.writeAll();
    }, lingerMs);
  }
}
