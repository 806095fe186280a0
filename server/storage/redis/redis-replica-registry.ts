import { setTimeout as sleep } from 'node:timers/promises';
import type { Heartbeat, NameHolder, ReplicaRegistry } from '../../cluster/replica-registry.js';
import type { ReplicaRecord } from '../../cluster/replica-differences.js';
import type { ReplicaIdentity } from '../../cluster/replica-identity.js';
import type { Log } from '../../logging/log.js';
import { RedisLosses } from './redis-losses.js';
import { RedisScript } from './redis-script.js';
import type { RedisStore } from './redis-store.js';
import { isLasting, RefusedCommands } from './refused-commands.js';
import { replicaKeys, type ReplicaKeys } from './replica-keys.js';

interface RegistryDependencies {
  readonly link: RedisStore;
  readonly log: Log;
}

interface RegistrySettings {
  readonly keyPrefix: string;
  readonly identity: ReplicaIdentity;
  readonly heartbeatMs?: number;
  readonly leaseMs?: number;
}

/** Version of the records. Later versions only add fields. */
const recordVersion = 1;
const claimRetryMs = 250;

/** The registry in Redis: see `lua/replicas.lua`. */
export class RedisReplicaRegistry implements ReplicaRegistry {
  readonly replicaId: string;
  readonly leaseMs: number;
  latest: Heartbeat;
  private readonly beatScript = new RedisScript('replicas');
  private readonly nameScript = new RedisScript('replica-name');
  private readonly leaveScript = new RedisScript('replica-leave');
  private readonly listeners: ((beat: Heartbeat) => void)[] = [];
  private readonly timer: NodeJS.Timeout;
  private readonly record: string;
  private readonly names: ReplicaKeys;
  /** Writes that Redis has lost, as the heartbeats show. */
  readonly losses: RedisLosses;
  private readonly refusedCommands: RefusedCommands;
  private closed = false;

  constructor(
    private readonly dependencies: RegistryDependencies,
    private readonly settings: RegistrySettings,
  ) {
    const { id, ...described } = settings.identity;
    this.replicaId = id;
    this.names = replicaKeys(settings.keyPrefix);
    this.record = JSON.stringify({ v: recordVersion, ...described });
    this.losses = new RedisLosses({ log: dependencies.log, now: dependencies.link.clock.now });
    this.refusedCommands = new RefusedCommands(dependencies.log);
    this.leaseMs = settings.leaseMs ?? 5000;
    this.latest = { isSteady: true, live: [id], unrecorded: [], departed: [] };
    dependencies.link.onState((state) => {
      if (state === 'up') void this.beat();
    });
    this.timer = setInterval(() => void this.beat(), settings.heartbeatMs ?? 1000);
    this.timer.unref();
  }

  onBeat(listener: (beat: Heartbeat) => void): void {
    this.listeners.push(listener);
  }

  async beat(): Promise<boolean> {
    if (this.closed) return false;
    try {
      const [steady, live, unrecorded, departed, count] = await this.beatScript.run<
        [number, string[], string[], string[], number]
      >(
        this.dependencies.link,
        [...this.keys(), this.names.beatCount],
        [this.replicaId, String(this.leaseMs), this.record],
      );
      const { link } = this.dependencies;
      this.losses.counted(count, link.ownerOf(link.slotOf(this.names.beatCount)));
      link.writes.accepted();
      if (this.closed) return false;
      this.latest = { isSteady: steady === 1, live, unrecorded, departed };
    } catch (error) {
      this.dependencies.log.debug('Heartbeat not sent', { error });
      if (isLasting(error))
        this.refusedCommands.report(error, { keys: [...this.keys(), this.names.beatCount] });
      return false;
    }
    for (const listener of this.listeners) listener(this.latest);
    return true;
  }

  /**
   * Takes the configured name over from a process that has ended. Resolves to the replica that has the name and is
   * alive; undefined if there is none. Rejects while Redis is unreachable.
   */
  async claimName(): Promise<NameHolder | undefined> {
    const { name } = this.settings.identity;
    const deadline = performance.now() + this.leaseMs + 2 * claimRetryMs;
    let first: NameHolder | undefined;
    for (;;) {
      const reply = await this.nameScript.run<[string, string] | []>(this.dependencies.link, this.keys(), [
        this.replicaId,
        name,
        `${this.names.bus}:`,
        this.dependencies.link.isCluster ? 'sharded' : '',
      ]);
      if (reply.length === 0) return undefined;
      const holder = { id: reply[0], beatAt: reply[1] };
      const hasBeaten = first?.id === holder.id && first.beatAt !== holder.beatAt;
      if (hasBeaten || performance.now() > deadline) return holder;
      first ??= holder;
      await sleep(claimRetryMs);
      // Ends leases that have run out meanwhile.
      await this.beat();
    }
  }

  /** Calls a listener each time other replicas are live, with their records. */
  onOthers(listener: (others: readonly ReplicaRecord[]) => void): void {
    let seen = '';
    this.onBeat(({ live }) => {
      const others = live.filter((id) => id !== this.replicaId).sort();
      if (others.join(' ') === seen) return;
      seen = others.join(' ');
      this.records(others).then(listener, () => (seen = ''));
    });
  }

  private async records(ids: readonly string[]): Promise<ReplicaRecord[]> {
    if (ids.length === 0) return [];
    const found = await this.dependencies.link.call<(string | null)[]>(['HMGET', this.names.records, ...ids]);
    return ids.map((id, i) => ({ id, record: found[i] ?? null }));
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.timer);
    const keys = [...this.keys(), this.names.presenceTopics(this.replicaId)];
    await this.leaveScript.run(this.dependencies.link, keys, [this.replicaId]).catch(() => {});
  }

  private keys(): string[] {
    const { beats, leases, departed, records } = this.names;
    return [beats, leases, departed, records];
  }
}
