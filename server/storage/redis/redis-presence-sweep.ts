import type { Heartbeat, ReplicaRegistry } from '../../cluster/replica-registry.js';
import type { Log } from '../../logging/log.js';
import { encodeReplica, presenceKey } from './presence-hash.js';
import type { RedisLink } from './redis-link.js';
import { RedisScript } from './redis-script.js';
import { replicaKeys, type ReplicaKeys } from './replica-keys.js';

interface SweepDependencies {
  readonly link: RedisLink;
  readonly registry: ReplicaRegistry;
  readonly log: Log;
}

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
    private readonly settings: { readonly keyPrefix: string },
  ) {
    this.names = replicaKeys(settings.keyPrefix);
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
    const { leases, presenceTopics, bus } = this.names;
    const keys = [presenceKey(this.settings.keyPrefix, topic), presenceTopics(replica), leases];
    let cursor = '0';
    do {
      const args = [replica, encodeReplica(replica), cursor, String(usersPerStep), bus, topic];
      cursor = await this.stepScript.run<string>(this.dependencies.link, keys, args);
      if (cursor === 'live') return false;
    } while (cursor !== '0');
    return true;
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
