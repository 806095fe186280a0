import { PresencePage } from '../../presence/presence-page.js';
import type { PresencePageRequest } from '../../presence/presence-reader.js';
import type {
  PresenceChange,
  PresenceCounts,
  PresenceStore,
  PresenceTransition,
} from '../../presence/presence-store.js';
import type { Bus } from '../../cluster/bus.js';
import type { RedisLink } from './redis-link.js';
import { RedisScript } from './redis-script.js';

const ttlMs = 24 * 3600 * 1000;
const usersPerCall = 500;
/** Users per call of a read, about. */
const usersPerScan = 500;

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

  async read(topic: string, request: PresencePageRequest): Promise<PresenceCounts> {
    const { link, bus } = this.dependencies;
    const live = new Set((await bus.replicas()).map(encodeURIComponent));
    const page = new PresencePage(request);
    let cursor = request.cursor ?? '0';
    for (;;) {
      const size = String(Math.max(1, Math.min(usersPerScan, page.left)));
      const [next, fields] = await link.call<[string, string[]]>([
        'HSCAN',
        this.key(topic),
        cursor,
        'COUNT',
        size,
      ]);
      const { counts, departed } = countsOf(fields, live);
      for (const [replica, changes] of departed) await this.set(topic, decodeURIComponent(replica), changes);
      // Users of one step of the scan stay together: the next page can only begin at a step.
      if (!page.fits([...counts.keys()])) return this.counted(topic, page, cursor);
      for (const [userId, connections] of counts) page.add(userId, connections);
      if (next === '0') return this.counted(topic, page, undefined, request.cursor === undefined);
      cursor = next;
      if (page.left === 0) return this.counted(topic, page, cursor);
    }
  }

  /** `isWhole`: the page holds all users, so that they need not be counted. */
  private async counted(
    topic: string,
    { counts }: PresencePage,
    next: string | undefined,
    isWhole = false,
  ): Promise<PresenceCounts> {
    const { link } = this.dependencies;
    const total = isWhole ? counts.size : await link.call<number>(['HLEN', this.key(topic)]);
    return { counts, total, next };
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

/** Users and their connections on live replicas; and the counts that replicas have left behind. */
function countsOf(fields: readonly string[], live: ReadonlySet<string>) {
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
  return { counts, departed };
}
