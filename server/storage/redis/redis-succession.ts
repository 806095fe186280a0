import type { Log } from '../../logging/log.js';
import { RedisAddress } from './redis-address.js';
import { ancestryKey, RedisAncestry, type RedisOrigin } from './redis-ancestry.js';
import type { RedisClock } from './redis-clock.js';
import type { RedisOutage } from './redis-outage.js';
import { identifyRedis, type RedisProcess } from './redis-process.js';
import { storageFormat } from './storage-format.js';

interface RedisSuccessionDependencies {
  readonly log: Log;
  readonly clock: RedisClock;
  readonly outage: RedisOutage;
  /** The Redis in use; undefined: there is none now. */
  readonly inUse: () => RedisProcess | undefined;
  /** Called when the connections lead to another Redis than they should. */
  readonly leave: () => void;
}

interface RedisSuccessionSettings {
  readonly url: string;
  readonly keyPrefix: string;
  /** The channel of all replicas, see `RedisBus`. */
  readonly busChannel: string;
}

/** An old primary that still accepts writes. */
export interface StalePrimary {
  /** The histories that the two write, see `RedisProcess`. */
  readonly stale: string;
  readonly newer: string;
  /** Whether this replica has used it until now. */
  readonly wasUsed: boolean;
  readonly remedy: string;
}

type Call = (args: string[]) => Promise<unknown>;

/** Kind of the messages by which replicas at a stale primary learn of its successor. */
export const successorKind = 'redis-successor';
const remedy =
  'demote the older one (REPLICAOF the newer one): what it has stored since the newer one took over is lost. Set min-replicas-to-write in Redis, so that a primary without replicas stores nothing';

/**
 * Takes care that replicas use the newest primary of Redis, if a failover has left two that accept writes. A replica
 * finds the other one when it connects again, by a look at the address from time to time, or by a message of a replica
 * that has found both. Then it stores nothing in the older one any more. See {@link RedisAncestry} for which is newer.
 */
export class RedisSuccession {
  private readonly ancestry: RedisAncestry;
  private readonly address: RedisAddress;
  private readonly listeners: ((found: StalePrimary) => void)[] = [];
  private readonly logged = new Set<string>();
  /** A Redis at the address which neither continues the one in use nor is continued by it. */
  private stranger: string | undefined;

  constructor(
    private readonly dependencies: RedisSuccessionDependencies,
    private readonly settings: RedisSuccessionSettings,
  ) {
    const { log, clock, inUse } = dependencies;
    this.ancestry = new RedisAncestry(ancestryKey(settings.keyPrefix), clock.now);
    this.address = new RedisAddress(
      { log, isWanted: () => inUse() !== undefined, look: (call) => this.look(call) },
      settings,
    );
  }

  /** Called once for each stale primary that is found. */
  onStale(listener: (found: StalePrimary) => void): void {
    this.listeners.push(listener);
  }

  start(): void {
    this.address.start();
  }

  close(): void {
    this.address.close();
  }

  /** Whether this Redis may be used. Rejects as `call` does. */
  async admits(call: Call, found: RedisProcess): Promise<boolean> {
    const origin = await this.ancestry.originOf(call, found);
    if (this.ancestry.isStale(origin)) {
      this.dependencies.outage.stale(origin.histories[0]!);
      await this.foundStale(call, origin);
      return false;
    }
    this.ancestry.use(origin);
    return true;
  }

  /** The Redis in use has changed the name of its history. */
  renamed(call: Call, process: RedisProcess): void {
    this.ancestry
      .originOf(call, process)
      .then((origin) => this.ancestry.use(origin))
      .catch(() => {
        // The next connection notes it.
      });
  }

  /** A message of another replica, {@link successorKind}. */
  learn(data: unknown): void {
    const origin = readOrigin(data);
    if (origin !== undefined && this.ancestry.isSuccessor(origin)) this.follow(origin);
  }

  private async look(call: Call): Promise<void> {
    const { log, inUse, leave } = this.dependencies;
    const found = await identifyRedis(call, undefined);
    const used = inUse();
    if (typeof found === 'string' || used === undefined) return;
    if (found.runId === used.runId || used.histories.includes(found.histories[0]!)) {
      this.stranger = undefined;
      return;
    }
    const origin = await this.ancestry.originOf(call, found);
    if (inUse() !== used) return;
    const [name] = origin.histories;
    if (this.ancestry.isStale(origin)) await this.foundStale(call, origin);
    else if (this.ancestry.isSuccessor(origin)) this.follow(origin);
    else if (this.stranger !== name) this.stranger = name;
    else {
      this.stranger = undefined;
      log.error('REDIS_URL leads to another Redis than the open connections: it is used from now on', {
        used: used.histories[0],
        found: name,
        remedy: 'stop the one that is not wanted',
      });
      leave();
    }
  }

  /** The Redis in use is stale: the origin is that of its successor. */
  private follow(origin: RedisOrigin): void {
    const stale = this.ancestry.current!.histories[0]!;
    this.ancestry.use(origin);
    // First: the older one is no place for anything, an alert included.
    this.dependencies.leave();
    this.report(stale, true);
  }

  private async foundStale(call: Call, { histories }: RedisOrigin): Promise<void> {
    this.report(histories[0]!, false);
    // Replicas that use it are reached there and nowhere else.
    const message = { v: storageFormat, kind: successorKind, from: '', data: this.ancestry.current };
    await call(['PUBLISH', this.settings.busChannel, JSON.stringify(message)]).catch(() => {});
  }

  private report(stale: string, wasUsed: boolean): void {
    const newer = this.ancestry.current!.histories[0]!;
    const name = `${stale} ${newer}`;
    if (this.logged.has(name)) return;
    this.logged.add(name);
    const found: StalePrimary = { stale, newer, wasUsed, remedy };
    this.dependencies.log.error('Two primaries of Redis accept writes', {
      stale,
      newer,
      was_used: wasUsed,
      remedy,
    });
    for (const listener of this.listeners) listener(found);
  }
}

/** Undefined if it is none. */
function readOrigin(data: unknown): RedisOrigin | undefined {
  const { histories, passed } = (data ?? {}) as Partial<Record<string, unknown>>;
  const isNames = (value: unknown): value is string[] =>
    Array.isArray(value) && value.length > 0 && value.every((name) => typeof name === 'string');
  return isNames(histories) && isNames(passed) ? { histories, passed } : undefined;
}
