import type { Bus } from '../../cluster/bus.js';
import type { Heartbeat, ReplicaRegistry } from '../../cluster/replica-registry.js';
import type { Log } from '../../logging/log.js';
import { encodeReplica, presenceKey } from './presence-hash.js';
import { RedisScript } from './redis-script.js';
import type { RedisStore } from './redis-store.js';
import { replicaKeys, type ReplicaKeys } from './replica-keys.js';

interface SweepDependencies {
  readonly link: RedisStore;
  readonly bus: Bus;
  readonly registry: ReplicaRegistry;
  readonly log: Log;
}

/** Kind of the message to a replica that came back while its users were being removed. */
export const sweptKind = 'presence-swept';
const usersPerStep = 200;
/** Topics at work at a time. */
const topicsAtATime = 16;
const unknownLimit = 1000;

/**
 * Removes the users of replicas whose lease has ended. One replica does it at a time; if it ends too, another goes
 * on. A replica that comes back has its lease again before it writes, and every step of a sweep asks for that.
 */
export class RedisPresenceSweep {
  private readonly stepScript = new RedisScript('presence-sweep');
  private readonly topicScript = new RedisScript('presence-swept');
  private readonly sweptScript = new RedisScript('replica-swept');
  private readonly names: ReplicaKeys;
  private readonly running = new Set<string>();
  /** Replicas found in a topic that the registry does not know, since when. It may have been lost a moment ago. */
  private readonly unknown = new Map<string, number>();
  /** Live replicas of version 0.1: nobody knows their topics. */
  private unrecorded: readonly string[] = [];
  private topics: () => Iterable<string> = () => [];

  constructor(
    private readonly dependencies: SweepDependencies,
    private readonly settings: { readonly keyPrefix: string; readonly replicaPrefix?: string },
  ) {
    this.names = replicaKeys(settings.replicaPrefix ?? settings.keyPrefix);
    dependencies.registry.onBeat((beat) => this.onBeat(beat));
  }

  /** Sets the topics in which this replica looks for users of a replica of version 0.1. */
  followTopics(topics: () => Iterable<string>): void {
    this.topics = topics;
  }

  /**
   * Called for each replica that is found in a topic. What a replica without a lease has left there is removed, even
   * if Redis has lost the list of its topics.
   */
  found(replica: string, topic: string): void {
    const { registry } = this.dependencies;
    if (registry.latest.live.includes(replica)) {
      this.unknown.delete(replica);
      return;
    }
    const since = this.unknown.get(replica);
    if (since === undefined) {
      if (this.unknown.size >= unknownLimit) this.unknown.clear();
      this.unknown.set(replica, performance.now());
    } else if (performance.now() - since > registry.leaseMs)
      void this.once(`${replica} ${topic}`, () => this.sweepTopic(replica, topic));
  }

  private onBeat({ departed, live, unrecorded }: Heartbeat): void {
    for (const replica of departed) void this.once(replica, () => this.sweep(replica));
    for (const replica of this.unrecorded)
      if (!live.includes(replica))
        void this.once(`${replica} here`, () => this.sweepTopics(replica, this.topics()));
    this.unrecorded = unrecorded;
  }

  private async sweep(replica: string): Promise<void> {
    const { link, registry } = this.dependencies;
    const { leases, departed, records, presenceTopics, presenceSweep } = this.names;
    const lock = (...more: string[]) =>
      link.call<string | null>(['SET', presenceSweep(replica), registry.replicaId, 'PX', leaseMs, ...more]);
    const leaseMs = String(registry.leaseMs);
    if ((await lock('NX')) === null) return;
    for (;;) {
      const count = String(topicsAtATime);
      const topics = await link.call<string[]>(['SRANDMEMBER', presenceTopics(replica), count]);
      if (topics.length === 0) break;
      if (!(await this.sweepTopics(replica, topics))) break;
      await lock();
    }
    await this.sweptScript.run(link, [leases, departed, records, presenceTopics(replica)], [replica]);
    await link.call(['DEL', presenceSweep(replica)]);
  }

  /** False if the replica has its lease again. */
  private async sweepTopics(replica: string, topics: Iterable<string>): Promise<boolean> {
    const rest = [...topics];
    let ended = true;
    const work = async () => {
      for (let topic = rest.pop(); topic !== undefined && ended; topic = rest.pop())
        ended = (await this.sweepTopic(replica, topic)) && ended;
    };
    await Promise.all(Array.from({ length: topicsAtATime }, work));
    return ended;
  }

  private async sweepTopic(replica: string, topic: string): Promise<boolean> {
    const { link } = this.dependencies;
    const { leases, presenceTopics, bus } = this.names;
    const key = presenceKey(this.settings.keyPrefix, topic);
    const keys = link.isCluster ? [key] : [key, presenceTopics(replica), leases];
    let cursor = '0';
    do {
      if (link.isCluster && (await this.hasLease(replica))) return false;
      const args = [replica, encodeReplica(replica), cursor, String(usersPerStep), bus, topic];
      cursor = await this.stepScript.run<string>(link, keys, args);
      if (cursor === 'live') return false;
    } while (cursor !== '0');
    return !link.isCluster || this.sweptInSteps(replica, topic);
  }

  /**
   * In a cluster the lease is in another slot: a replica may have come back after the last look at it, and what it has
   * written since is removed. It learns of that, and writes it again.
   */
  private async sweptInSteps(replica: string, topic: string): Promise<boolean> {
    const { link, bus } = this.dependencies;
    const { leases, presenceTopics } = this.names;
    const keys = [leases, presenceTopics(replica)];
    if ((await this.topicScript.run<number>(link, keys, [replica, topic])) === 1) return true;
    bus.send(replica, sweptKind, { topic });
    return false;
  }

  private async hasLease(replica: string): Promise<boolean> {
    return (await this.dependencies.link.call(['ZSCORE', this.names.leases, replica])) !== null;
  }

  /** Runs a sweep unless it is running. Never rejects: the next heartbeat tries again. */
  private async once(name: string, run: () => Promise<unknown>): Promise<void> {
    if (this.running.has(name)) return;
    this.running.add(name);
    try {
      await run();
    } catch (error) {
      this.dependencies.log.debug('Users of a departed replica not removed yet', { error });
    } finally {
      this.running.delete(name);
    }
  }
}
