import type { ConnectionCountStore } from '../../limits/connection-count-store.js';
import type { Bus } from '../../cluster/bus.js';
import type { RedisStore } from './redis-store.js';

/** The hash of a killed replica remains, but is ignored and expires after this time. */
const ttlMs = 3600 * 1000;
const keepMs = ttlMs / 4;
const usersPerCall = 500;

/**
 * Connections of users in Redis: one hash per replica, from user to number. Only hashes of live replicas
 * count.
 */
export class RedisConnectionCountStore implements ConnectionCountStore {
  private readonly timer: NodeJS.Timeout;
  private used = false;

  constructor(
    private readonly dependencies: { readonly link: RedisStore; readonly bus: Bus },
    private readonly settings: { readonly keyPrefix: string },
  ) {
    this.timer = setInterval(() => {
      if (this.used) this.expire().catch(() => {});
    }, keepMs);
    this.timer.unref();
  }

  async set(userId: string, connections: number): Promise<void> {
    const { link, bus } = this.dependencies;
    this.used = true;
    const own = this.key(bus.replicaId);
    const written =
      connections > 0
        ? link.call(['HSET', own, userId, String(connections)])
        : link.call(['HDEL', own, userId]);
    await Promise.all([written, this.expire()]);
  }

  async elsewhere(userId: string): Promise<number> {
    const { link, bus } = this.dependencies;
    const others = (await bus.replicas()).filter((replica) => replica !== bus.replicaId);
    const counts = await Promise.all(
      others.map((replica) => link.call<string | null>(['HGET', this.key(replica), userId])),
    );
    return counts.reduce((sum, count) => sum + Number(count ?? 0), 0);
  }

  async replace(connections: ReadonlyMap<string, number>): Promise<void> {
    const { link, bus } = this.dependencies;
    this.used = true;
    const own = this.key(bus.replicaId);
    const pairs = [...connections].map(([userId, count]) => [userId, String(count)]);
    // All commands are sent in one turn, so that later writes follow them.
    const calls: Promise<unknown>[] = [link.call(['DEL', own])];
    for (let i = 0; i < pairs.length; i += usersPerCall)
      calls.push(link.call(['HSET', own, ...pairs.slice(i, i + usersPerCall).flat()]));
    calls.push(this.expire());
    await Promise.all(calls);
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    if (!this.used) return;
    this.used = false;
    await this.dependencies.link.call(['DEL', this.key(this.dependencies.bus.replicaId)]).catch(() => {});
  }

  private expire(): Promise<unknown> {
    return this.dependencies.link.call(['PEXPIRE', this.key(this.dependencies.bus.replicaId), String(ttlMs)]);
  }

  private key(replica: string): string {
    return `${this.settings.keyPrefix}:connections:${replica}`;
  }
}
