import type { RedisHost } from '../../../config/redis-url.js';
import { addressOf, type ClusterView } from './cluster-view.js';
import { slotCount } from './hash-slot.js';

/**
 * Which primary has which slot. All nodes that answer are asked: of two that claim a slot, the one with the greater
 * configuration epoch has it, since a node that was away, or is on the wrong side of a split, has a smaller one. An
 * older configuration than the known one counts only if most of the primaries answer: somebody has set up the cluster
 * anew. ADR 12 has the same rule for Sentinels.
 */
export class SlotTable {
  /** The address of the owner of each slot; undefined: no node has it. */
  private owners: (string | undefined)[] = new Array<string | undefined>(slotCount).fill(undefined);
  private epochs = new Float64Array(slotCount).fill(-1);
  private primaries: ReadonlyMap<string, RedisHost> = new Map();
  private all: readonly RedisHost[] = [];
  private aliases: ReadonlyMap<string, string> = new Map();
  private last = '';

  ownerOf(slot: number): string | undefined {
    return this.owners[slot];
  }

  /** The address of a node under which it is known here: redirections may name it by its IP address. */
  resolve(address: string): string {
    return this.aliases.get(address) ?? address;
  }

  /** By address: those that have slots, and those that may be about to get some. */
  get nodes(): ReadonlyMap<string, RedisHost> {
    return this.primaries;
  }

  /** Every node that was named, replicas included. */
  get known(): readonly RedisHost[] {
    return this.all;
  }

  /** Slots that no node has. */
  get unserved(): number {
    return this.owners.reduce((count, owner) => count + (owner === undefined ? 1 : 0), 0);
  }

  /** Takes what the nodes that answered say. True if something has changed. */
  apply(views: readonly ClusterView[]): boolean {
    const text = JSON.stringify(views.map((view) => view.map((node) => ({ ...node }))));
    if (views.length === 0 || text === this.last) return false;
    this.last = text;
    const claims = views.flat().filter(({ isPrimary }) => isPrimary);
    claims.sort((one, other) => one.configEpoch - other.configEpoch);
    const owners = new Array<string | undefined>(slotCount).fill(undefined);
    const epochs = new Float64Array(slotCount).fill(-1);
    for (const { slots, configEpoch, ...host } of claims) {
      for (const [first, last] of slots) {
        owners.fill(addressOf(host), first, last + 1);
        epochs.fill(configEpoch, first, last + 1);
      }
    }
    const isMost = views.length * 2 > new Set(owners.filter((owner) => owner !== undefined)).size;
    let hasChanged = false;
    for (let slot = 0; slot < slotCount; slot++) {
      if (!isMost && epochs[slot]! < this.epochs[slot]!) {
        owners[slot] = this.owners[slot];
        epochs[slot] = this.epochs[slot]!;
      }
      if (owners[slot] !== this.owners[slot]) hasChanged = true;
    }
    this.owners = owners;
    this.epochs = epochs;
    return this.noteNodes(views) || hasChanged;
  }

  private noteNodes(views: readonly ClusterView[]): boolean {
    const nodes = new Map<string, RedisHost>();
    const all = new Map<string, RedisHost>();
    const aliases = new Map<string, string>();
    const serving = new Set(this.owners);
    const absent = new Set<string>();
    // A node that is a primary to one and a replica to another is what the newer configuration says.
    const newest = views
      .flat()
      .sort((one, other) => one.configEpoch - other.configEpoch)
      .map((node) => [addressOf(node), node] as const);
    for (const [address, { host, port, alias, isPrimary, isAbsent }] of newest) {
      all.set(address, { host, port });
      aliases.set(alias, address);
      if (isAbsent) absent.add(address);
      if (serving.has(address) || isPrimary) nodes.set(address, { host, port });
      else nodes.delete(address);
    }
    for (const address of absent) if (!serving.has(address)) nodes.delete(address);
    // One that the answers of this time leave out has slots all the same.
    for (const [address, host] of this.primaries) if (serving.has(address)) nodes.set(address, host);
    const hasChanged =
      nodes.size !== this.primaries.size || [...nodes.keys()].some((address) => !this.primaries.has(address));
    this.primaries = nodes;
    this.aliases = aliases;
    this.all = [...all.values()];
    return hasChanged;
  }
}
