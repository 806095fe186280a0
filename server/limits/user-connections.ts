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

/** Gives a place back; harmless when called again. */
type Release = () => void;

const storeLimitMs = 500;

/** Limits how many connections a user holds. While the store is away only those of this replica count. */
export class UserConnections {
  private readonly held = new Map<string, number>();

  constructor(
    private readonly dependencies: UserConnectionsDependencies,
    private readonly settings: UserConnectionsSettings,
  ) {}

  /**
   * Takes a place for a connection of the user; `undefined`: there is no limit, and nothing to give back. The number is raised before it is
   * checked, so that simultaneous connects see each other.
   *
   * Rejects with RefusalError `at_capacity`.
   */
  claim(userId: string): Promise<Release> | undefined {
    return this.settings.maxConnections === 0 ? undefined : this.take(userId);
  }

  /** Tells the store everything again, after it may have lost it. */
  rewrite(): void {
    if (this.settings.maxConnections === 0) return;
    this.dependencies.store.replace(this.held).catch((error: unknown) => this.away(error));
  }

  private async take(userId: string): Promise<Release> {
    const { store, counts } = this.dependencies;
    const { maxConnections } = this.settings;
    const own = this.change(userId, 1);
    let total = own;
    try {
      const asked = Promise.all([store.set(userId, own), store.elsewhere(userId)]);
      total += (await withTimeout(asked, storeLimitMs))[1];
    } catch (error) {
      counts.localFallbacks++;
      this.away(error);
    }
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      store.set(userId, this.change(userId, -1)).catch((error: unknown) => this.away(error));
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

  private away(error: unknown): void {
    this.dependencies.log.debug('Connections of users are counted on this replica alone', { error });
  }
}
