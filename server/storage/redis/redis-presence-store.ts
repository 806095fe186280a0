import { PresencePage } from '../../presence/presence-page.js';
import type { PresencePageRequest } from '../../presence/presence-reader.js';
import type {
  PresenceChange,
  PresenceCounts,
  PresenceStore,
  PresenceTransition,
} from '../../presence/presence-store.js';
import type { Bus } from '../../cluster/bus.js';
import type { ReplicaRegistry } from '../../cluster/replica-registry.js';
import type { Log } from '../../logging/log.js';
import { encodeReplica, partsOf, presenceKey } from './presence-hash.js';
import { RedisPresenceSweep, sweptKind } from './redis-presence-sweep.js';
import { RedisScript } from './redis-script.js';
import type { RedisStore } from './redis-store.js';
import { replicaKeys, type ReplicaKeys } from './replica-keys.js';

interface RedisPresenceDependencies {
  readonly link: RedisStore;
  readonly bus: Bus;
  readonly registry: ReplicaRegistry;
  readonly log: Log;
}

interface RedisPresenceSettings {
  readonly keyPrefix: string;
  /** What keys and channels of replicas begin with: they are in one slot of a Redis Cluster. Default: `keyPrefix`. */
  readonly replicaPrefix?: string;
}

/** What nobody renews expires after this time: only if the whole cluster is gone. */
const ttlMs = 24 * 3600 * 1000;
const usersPerCall = 500;
/** Users per call of a read, about. */
const usersPerScan = 500;
const topicsPerCheck = 200;

/**
 * Presence in Redis: one hash per topic, see `lua/presence.lua`, and a set of topics per replica, for those that
 * remove its users when its lease has ended. The scripts that change presence also publish the transitions: a
 * transition is announced if and only if it happens.
 */
export class RedisPresenceStore implements PresenceStore {
  readonly settleMs: number;
  private readonly applyScript = new RedisScript('presence');
  private readonly checkScript = new RedisScript('presence-check');
  private readonly leaseScript = new RedisScript('presence-lease');
  private readonly sweep: RedisPresenceSweep;
  private readonly replica: string;
  private readonly names: ReplicaKeys;

  constructor(
    private readonly dependencies: RedisPresenceDependencies,
    private readonly settings: RedisPresenceSettings,
  ) {
    const { registry } = dependencies;
    this.names = replicaKeys(settings.replicaPrefix ?? settings.keyPrefix);
    this.replica = encodeReplica(registry.replicaId);
    // The lease of a replica that does not come back has ended by then.
    this.settleMs = registry.leaseMs * 1.2;
    this.sweep = new RedisPresenceSweep(dependencies, settings);
  }

  async apply(topic: string, changes: readonly PresenceChange[], isLast: boolean): Promise<void> {
    if (!this.dependencies.link.isCluster) {
      const { presenceTopics, leases } = this.names;
      const more = [presenceTopics(this.dependencies.registry.replicaId), leases];
      if (!(await this.write(topic, changes, isLast, more))) this.noLease();
    } else await this.applyInSteps(topic, changes, isLast);
  }

  /**
   * The lease and the set of topics are in another slot than the topic. The topic is in the set before its users are
   * written, and until they are removed. A lease that ends meanwhile is noticed after it: then all is written again.
   */
  private async applyInSteps(
    topic: string,
    changes: readonly PresenceChange[],
    isLast: boolean,
  ): Promise<void> {
    const { link, registry } = this.dependencies;
    const { leases, presenceTopics } = this.names;
    const { replicaId } = registry;
    const topics = presenceTopics(replicaId);
    const had = await this.leaseScript.run<number>(link, [leases, topics], [replicaId, topic, String(ttlMs)]);
    if (had !== 1) this.noLease();
    await this.write(topic, changes, isLast, []);
    if ((await link.call(['ZSCORE', leases, replicaId])) === null) this.noLease();
    if (isLast) await link.call(['SREM', topics, topic]);
  }

  /** False if the replica has no lease. `more`: the keys of it, where they are in the same slot. */
  private async write(
    topic: string,
    changes: readonly PresenceChange[],
    isLast: boolean,
    more: readonly string[],
  ): Promise<boolean> {
    const { link, registry } = this.dependencies;
    const { bus } = this.names;
    const keys = [this.key(topic), ...more];
    // All commands are sent in one turn, so that a later write follows them.
    const calls: Promise<number>[] = [];
    for (let i = 0; i < changes.length; i += usersPerCall) {
      const isEnd = isLast && i + usersPerCall >= changes.length;
      const args = changes
        .slice(i, i + usersPerCall)
        .flatMap(({ userId, connections, wasStored }) => [
          userId,
          String(connections),
          wasStored ? '1' : '0',
        ]);
      const head = [registry.replicaId, this.replica, String(ttlMs), bus, topic, isEnd ? '1' : '0'];
      calls.push(this.applyScript.run<number>(link, keys, [...head, ...args]));
    }
    const results = await Promise.allSettled(calls);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    return results.every((result) => result.status === 'fulfilled' && result.value === 1);
  }

  private noLease(): never {
    // The heartbeat finds that the lease had ended, and everything is stored again.
    void this.dependencies.registry.beat();
    throw new Error('this replica had no lease');
  }

  async read(topic: string, request: PresencePageRequest): Promise<PresenceCounts> {
    const page = new PresencePage(request);
    let cursor = request.cursor ?? '0';
    for (;;) {
      const size = Math.max(1, Math.min(usersPerScan, page.left));
      const [next, fields] = await this.scan(topic, cursor, size);
      const counts = new Map<string, number>();
      const replicas = new Set<string>();
      for (const [userId, value] of fields) {
        // Users of a departed replica count until they are removed: only then their `leave` is sent, and an answer and
        // the events after it fit together.
        for (const [replica, connections] of partsOf(value)) {
          replicas.add(replica);
          counts.set(userId, (counts.get(userId) ?? 0) + connections);
        }
      }
      for (const replica of replicas) this.sweep.found(replica, topic);
      // Users of one step of the scan stay together: the next page can only begin at a step.
      if (!page.fits([...counts.keys()])) return this.counted(topic, page, cursor);
      for (const [userId, connections] of counts) page.add(userId, connections);
      if (next === '0') return this.counted(topic, page, undefined, request.cursor === undefined);
      cursor = next;
      if (page.left === 0) return this.counted(topic, page, cursor);
    }
  }

  async storedTopics(): Promise<string[]> {
    const { link, registry } = this.dependencies;
    const key = this.names.presenceTopics(registry.replicaId);
    const topics = new Set<string>();
    let cursor = '0';
    do {
      const reply = await link.call<[string, string[]]>(['SSCAN', key, cursor, 'COUNT', '500']);
      cursor = reply[0];
      for (const topic of reply[1]) topics.add(topic);
    } while (cursor !== '0');
    return [...topics];
  }

  async stored(topic: string): Promise<ReadonlyMap<string, number>> {
    const { registry } = this.dependencies;
    const users = new Map<string, number>();
    let cursor = '0';
    do {
      const [next, fields] = await this.scan(topic, cursor, usersPerScan);
      cursor = next;
      for (const [userId, value] of fields)
        for (const [replica, connections] of partsOf(value))
          if (replica === registry.replicaId) users.set(userId, connections);
    } while (cursor !== '0');
    return users;
  }

  async check(
    samples: readonly { readonly topic: string; readonly userId: string }[],
  ): Promise<string[] | 'all'> {
    const { link, registry } = this.dependencies;
    const topicsKey = this.names.presenceTopics(registry.replicaId);
    if (link.isCluster) return this.checkInSteps(samples, topicsKey);
    const lost: string[] = [];
    for (let i = 0; i < samples.length; i += topicsPerCheck) {
      const some = samples.slice(i, i + topicsPerCheck);
      const numbers = await this.checkScript.run<number[]>(
        link,
        [topicsKey, ...some.map(({ topic }) => this.key(topic))],
        [this.replica, String(ttlMs), ...some.map(({ userId }) => userId)],
      );
      if (numbers.includes(-1)) return 'all';
      lost.push(...numbers.map((number) => some[number - 1]!.topic));
    }
    return lost;
  }

  /** One call for each topic: each is in a slot of its own. */
  private async checkInSteps(
    samples: readonly { readonly topic: string; readonly userId: string }[],
    topicsKey: string,
  ): Promise<string[] | 'all'> {
    if (samples.length === 0) return [];
    const { link } = this.dependencies;
    const head = [this.replica, String(ttlMs)];
    const set = await this.checkScript.run<number[]>(link, [topicsKey], head);
    if (set.includes(-1)) return 'all';
    const lost: string[] = [];
    for (let i = 0; i < samples.length; i += topicsPerCheck) {
      await Promise.all(
        samples.slice(i, i + topicsPerCheck).map(async ({ topic, userId }) => {
          const key = this.key(topic);
          // The hash takes the place of the set, too: both have to be there.
          const missing = await this.checkScript.run<number[]>(link, [key, key], [...head, userId]);
          if (missing.length > 0) lost.push(topic);
        }),
      );
    }
    return lost;
  }

  onTransitions(listener: (topic: string, transitions: readonly PresenceTransition[]) => void): void {
    this.dependencies.bus.on('presence', (data) => {
      const { topic, transitions } = data as { topic: string; transitions: PresenceTransition[] };
      listener(topic, transitions);
    });
  }

  onLost(listener: () => void): void {
    this.dependencies.registry.onBeat(({ isSteady }) => {
      if (!isSteady) listener();
    });
    this.dependencies.bus.on(sweptKind, listener);
  }

  followTopics(topics: () => Iterable<string>): void {
    this.sweep.followTopics(topics);
  }

  private async scan(topic: string, cursor: string, count: number): Promise<[string, [string, string][]]> {
    const command = ['HSCAN', this.key(topic), cursor, 'COUNT', String(count)];
    const [next, flat] = await this.dependencies.link.call<[string, string[]]>(command);
    const fields: [string, string][] = [];
    for (let i = 0; i < flat.length; i += 2) fields.push([flat[i]!, flat[i + 1]!]);
    return [next, fields];
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

  private key(topic: string): string {
    return presenceKey(this.settings.keyPrefix, topic);
  }
}
