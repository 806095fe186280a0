import type { PresenceChange, PresenceStore, PresenceTransition } from '../../presence/presence-store.js';
import type { Bus } from '../../cluster/bus.js';
import type { RedisLink } from './redis-link.js';
import { RedisScript } from './redis-script.js';

const ttlMs = 24 * 3600 * 1000;
const usersPerCall = 500;

/**
 * Presence in Redis: one hash per topic, see `lua/presence.lua`. Counts of replicas that are no longer live
 * are ignored, and removed.
 */
export class RedisPresenceStore implements PresenceStore {
  private readonly script = new RedisScript('presence');

  constructor(
    private readonly dependencies: { readonly link: RedisLink; readonly bus: Bus },
    private readonly settings: { readonly keyPrefix: string },
  ) {}

  async apply(topic: string, changes: readonly PresenceChange[]): Promise<PresenceTransition[]> {
    const calls: Promise<PresenceTransition[]>[] = [];
    for (let i = 0; i < changes.length; i += usersPerCall) {
      calls.push(this.set(topic, this.dependencies.bus.replicaId, changes.slice(i, i + usersPerCall)));
    }
    return (await Promise.all(calls)).flat();
  }

  async read(topic: string): Promise<Map<string, number>> {
    const { link, bus } = this.dependencies;
    const [fields, replicas] = await Promise.all([
      link.call<string[]>(['HGETALL', this.key(topic)]),
      bus.replicas(),
    ]);
    const live = new Set(replicas.map(encodeURIComponent));
    const counts = new Map<string, number>();
    const departed = new Map<string, PresenceChange[]>();
    for (let i = 0; i < fields.length; i += 2) {
      const userId = fields[i]!;
      for (const part of fields[i + 1]!.split(' ')) {
        const [replica, count] = part.split('=') as [string, string];
        if (live.has(replica)) counts.set(userId, (counts.get(userId) ?? 0) + Number(count));
        else departed.set(replica, [...(departed.get(replica) ?? []), { userId, connections: 0 }]);
      }
    }
    for (const [replica, changes] of departed) await this.set(topic, decodeURIComponent(replica), changes);
    return counts;
  }

  private async set(
    topic: string,
    replica: string,
    changes: readonly PresenceChange[],
  ): Promise<PresenceTransition[]> {
    const args = changes.flatMap(({ userId, connections }) => [userId, String(connections)]);
    const head = [encodeURIComponent(replica), String(ttlMs)];
    const reply = await this.script.run<(string | number)[]>(
      this.dependencies.link,
      [this.key(topic)],
      [...head, ...args],
    );
    const transitions: PresenceTransition[] = [];
    for (let i = 0; i < reply.length; i += 3) {
      const connections = Number(reply[i + 2]);
      transitions.push({ userId: String(reply[i]), event: connections > 0 ? 'join' : 'leave', connections });
    }
    return transitions;
  }

  private key(topic: string): string {
    return `${this.settings.keyPrefix}:{${topic}}:presence`;
  }
}
