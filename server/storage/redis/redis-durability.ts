import type { Durability } from '../../log/broker.js';
import { saysAlways, type RedisProcess } from './redis-process.js';
import type { RedisNode } from './redis-store.js';

/** How far an append has got, as Redis says after it. */
interface Reached {
  readonly durability: Durability;
  /** Fewer replicas of Redis have it than are to be waited for. */
  readonly tooFewReplicas: boolean;
}

const waitMs = 1000;

/**
 * Finds out how far an append has got, by commands that follow its script in the same pipeline: what was true on
 * connecting may have changed. None are sent where nothing is promised.
 */
export class RedisDurability {
  private replicas: Promise<boolean> | undefined;
  private synced: Promise<boolean> | undefined;

  constructor(
    private readonly node: RedisNode,
    private readonly redis: RedisProcess,
    private readonly waitReplicas: number,
  ) {}

  /** Must be called right after each sending of the script. The last call counts: it follows the one that ran. */
  readonly ask = (): void => {
    if (this.waitReplicas > 0) this.replicas = this.waitForReplicas();
    if (this.redis.fsyncAlways) this.synced = this.redis.hasWaitAof ? this.waitForDisk() : this.syncsAlways();
  };

  async reached(): Promise<Reached> {
    const [onReplicas, onDisk] = await Promise.all([this.replicas, this.synced]);
    // Nothing better than `stored` is said of a message that is not where it is to be.
    if (onReplicas === false) return { durability: 'stored', tooFewReplicas: true };
    return {
      durability: onDisk === true ? 'fsynced' : onReplicas === true ? 'replicated' : 'stored',
      tooFewReplicas: false,
    };
  }

  private waitForReplicas(): Promise<boolean> {
    return this.node.call<number>(['WAIT', String(this.waitReplicas), String(waitMs)]).then(
      (replicas) => replicas >= this.waitReplicas,
      () => false,
    );
  }

  private waitForDisk(): Promise<boolean> {
    return this.node.call<number[]>(['WAITAOF', '1', '0', String(waitMs)]).then(
      ([local]) => local! >= 1,
      () => false,
    );
  }

  private syncsAlways(): Promise<boolean> {
    return this.node.call<string[]>(['CONFIG', 'GET', '*append*']).then(saysAlways, () => false);
  }
}
