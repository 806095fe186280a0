import type { Outage, RedisOutage } from '../redis-outage.js';

/** Some slots of a Redis Cluster are not served, or all of it is down. */
export class ClusterError extends Error {
  override readonly name = 'ClusterError';
}

/** What is wrong with the nodes of a Redis Cluster, as one: the outage that began first counts. */
export class ClusterOutage {
  private readonly parts = new Set<RedisOutage>();
  private readonly lasting = new Map<RedisOutage, Outage>();
  private readonly listeners: ((outage: Outage | undefined) => void)[] = [];

  /** Called with an outage that lasts, and with undefined when none is left. */
  onLasting(listener: (outage: Outage | undefined) => void): void {
    this.listeners.push(listener);
  }

  /** What is wrong now; undefined: nothing. */
  get current(): Outage | undefined {
    for (const { current } of this.parts) if (current !== undefined) return current;
    return undefined;
  }

  add(part: RedisOutage): void {
    this.parts.add(part);
    part.onLasting((outage) => this.changed(part, outage));
  }

  /** The node has no slots any more. */
  remove(part: RedisOutage): void {
    this.parts.delete(part);
    this.changed(part, undefined);
  }

  private changed(part: RedisOutage, outage: Outage | undefined): void {
    if (outage !== undefined && !this.parts.has(part)) return;
    const before = this.first;
    if (outage === undefined) this.lasting.delete(part);
    else this.lasting.set(part, outage);
    if (this.first === before) return;
    for (const listener of this.listeners) listener(this.first);
  }

  private get first(): Outage | undefined {
    return this.lasting.values().next().value;
  }
}
