import { RefusalError } from '../../shared/errors.js';
import type { Log } from '../logging/log.js';
import { withTimeout } from '../primitives/with-timeout.js';
import type { ConnectionCountStore } from './connection-count-store.js';
import type { LimitCounts } from './limit-counts.js';

interface UserConnectionsDependencies {
  readonly store: ConnectionCountStore;
  readonly counts: LimitCounts;
  readonly log: Log;
}

interface UserConnectionsSettings {
  /** Connections of one user on all replicas together; 0 for no limit. */
  readonly maxConnections: number;
}

/** Releases a slot. A second call does nothing. */
type ReleaseSlot = () => void;

const storeLimitMs = 500;

/**
 * Limits the connections of a user. While the store is unreachable, only the connections of this replica
 * count.
 */
export class UserConnections {
  private readonly held = new Map<string, number>();

  constructor(
    private readonly dependencies: UserConnectionsDependencies,
    private readonly settings: UserConnectionsSettings,
  ) {}

  /**
   * Acquires a connection slot for the user. Resolves to the function that releases it; `undefined` if there
   * is no limit. The number is raised before it is checked, so that simultaneous connects count each other.
   *
   * Rejects with RefusalError `at_capacity`.
   */
  acquireSlot(userId: string): Promise<ReleaseSlot> | undefined {
    return this.settings.maxConnections === 0 ? undefined : this.acquire(userId);
  }

  /** Writes all numbers again, after the store may have lost them. */
  rewrite(): void {
    if (this.settings.maxConnections === 0) return;
    this.dependencies.store.replace(this.held).catch((error: unknown) => this.countedLocally(error));
  }

  private async acquire(userId: string): Promise<ReleaseSlot> {
    const { store, counts } = this.dependencies;
    const { maxConnections } = this.settings;
    const own = this.change(userId, 1);
    let total = own;
    try {
      const asked = Promise.all([store.set(userId, own), store.elsewhere(userId)]);
      total += (await withTimeout(asked, storeLimitMs))[1];
    } catch (error) {
      counts.localFallbacks++;
      this.countedLocally(error);
    }
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      store.set(userId, this.change(userId, -1)).catch((error: unknown) => this.countedLocally(error));
    };
    if (total <= maxConnections) return release;
    release();
    counts.userConnections++;
    throw new RefusalError('at_capacity', `the user holds ${maxConnections} connections`, {
      retryAfterMs: 5000,
      limit: maxConnections,
    });
  }

  private change(userId: string, by: number): number {
    const connections = (this.held.get(userId) ?? 0) + by;
    if (connections > 0) this.held.set(userId, connections);
    else this.held.delete(userId);
    return connections;
  }

  private countedLocally(error: unknown): void {
    this.dependencies.log.debug('Store unreachable: connections of users are counted on this replica only', {
      error,
    });
  }
}
