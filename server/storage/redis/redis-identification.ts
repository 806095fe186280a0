import type { Log } from '../../logging/log.js';
import type { RedisClock } from './redis-clock.js';
import { identifyRedis, type RedisProcess } from './redis-process.js';
import type { RedisSuccession } from './redis-succession.js';
import type { RedisWrites } from './redis-writes.js';
import { formatKey, formatRefusal, newerFormat } from './storage-format.js';

interface RedisIdentificationDependencies {
  readonly log: Log;
  readonly clock: RedisClock;
  readonly writes: RedisWrites;
  /** Undefined: any primary is used. */
  readonly succession: RedisSuccession | undefined;
}

export interface RedisIdentificationSettings {
  /** Where replicas of version 0.1 register that use other channels; none may be live. Undefined: they use the same. */
  readonly formerRegistry?: string | undefined;
  /** Prefix of the keys whose storage format is checked, and their history; undefined: they are not. */
  readonly keyPrefix?: string;
  /** The process has to be a node of a Redis Cluster; otherwise it must not be one. */
  readonly inCluster?: boolean;
}

/** The connected Redis cannot be used now. */
interface NotYet {
  /** It is looked at again after this. */
  readonly waitMs: number;
  /** On a new connection: the address may lead to another Redis by then. */
  readonly reconnect: boolean;
}

type Call = (args: string[]) => Promise<unknown>;

/** A replica without a heartbeat for this long has ended. */
const formerGoneMs = 5000;
const clusterMode =
  'Redis runs in cluster mode: set REDIS_URL (redis.url) to redis+cluster:// and the addresses of some of its nodes, redis+cluster://host:6379,host:6379';
/** Why a Redis that is no node of a cluster is not used where there has to be one. */
export const noClusterMode =
  'REDIS_URL (redis.url) names a Redis Cluster, and this Redis does not run in cluster mode: use redis:// and one address, or set cluster-enabled yes in Redis';
const tooOld = 'a Redis Cluster has to run Redis 7.0 or later, or Valkey';
const loading: NotYet = { waitMs: 100, reconnect: false };
const occupied: NotYet = { waitMs: 1000, reconnect: false };
/** The wrong Redis, or one that does not answer as it should. */
export const elsewhere: NotYet = { waitMs: 1000, reconnect: true };

/** Finds out which Redis is connected, and whether this release may use it. Operators are notified if not. */
export class RedisIdentification {
  /** The last reason that was logged: each is logged once, not with each attempt. */
  private logged: string | undefined;
  private unsupportedBy: string | undefined;

  constructor(
    private readonly dependencies: RedisIdentificationDependencies,
    private readonly settings: RedisIdentificationSettings,
  ) {}

  /** Why the service cannot work with the Redis that was found last; undefined if there is no such reason. */
  get unsupported(): string | undefined {
    return this.unsupportedBy;
  }

  /** Must precede all other commands of a connection. `before`: the process that was used last. Rejects as `call` does. */
  async identify(call: Call, before: RedisProcess | undefined): Promise<RedisProcess | NotYet> {
    const { keyPrefix, inCluster = false } = this.settings;
    const found = await identifyRedis(call, before, inCluster);
    if (found === 'loading') return loading;
    if (found === 'replica') return this.refuseReplica();
    if (found === 'too old') return this.refuse(tooOld);
    if (found === 'other mode') return this.refuse(inCluster ? noClusterMode : clusterMode);
    const newer = keyPrefix === undefined ? undefined : await newerFormat(call, formatKey(keyPrefix));
    if (newer !== undefined) return this.refuse(formatRefusal(newer));
    await this.dependencies.clock.measure(call);
    if (await this.hasFormerReplicas(call)) return this.waitForFormer();
    const { succession } = this.dependencies;
    if (succession !== undefined && !(await succession.admits(call, found))) return elsewhere;
    this.logged = undefined;
    this.unsupportedBy = undefined;
    return found;
  }

  private async hasFormerReplicas(call: Call): Promise<boolean> {
    const { formerRegistry } = this.settings;
    if (formerRegistry === undefined) return false;
    const since = this.dependencies.clock.now() - formerGoneMs;
    return Number(await call(['ZCOUNT', formerRegistry, String(since), '+inf'])) > 0;
  }

  private refuseReplica(): NotYet {
    const { writes, log } = this.dependencies;
    writes.onError('READONLY');
    this.once('replica', () =>
      log.warn('This Redis is a read-only replica: waiting for one that accepts writes', {
        remedy: 'let REDIS_URL lead to the primary',
      }),
    );
    return elsewhere;
  }

  private waitForFormer(): NotYet {
    this.once('former', () =>
      this.dependencies.log.error(
        'Replicas of version 0.1 use this database of Redis, on channels that all databases share: waiting until they have ended',
        { remedy: 'stop them: in a numbered database, versions 0.1 and later cannot run side by side' },
      ),
    );
    return occupied;
  }

  private refuse(reason: string): NotYet {
    this.unsupportedBy = reason;
    this.once(reason, () => this.dependencies.log.error(reason));
    return elsewhere;
  }

  private once(reason: string, write: () => void): void {
    if (this.logged === reason) return;
    this.logged = reason;
    write();
  }
}
