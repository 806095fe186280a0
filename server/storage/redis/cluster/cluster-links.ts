import type { RedisHost } from '../../../config/redis-url.js';
import type { Log } from '../../../logging/log.js';
import type { RedisConnector } from '../redis-connector.js';
import { RedisLink, type LinkCounts } from '../redis-link.js';
import type { RedisOutage } from '../redis-outage.js';
import type { LinkState } from '../redis-store.js';
import { RedisWrites } from '../redis-writes.js';
import { slotCount } from './hash-slot.js';
import { nodeLog } from './node-log.js';
import type { SlotTable } from './slot-table.js';

interface ClusterLinksDependencies {
  readonly log: Log;
  readonly connectorTo: (host: RedisHost) => RedisConnector;
  readonly table: SlotTable;
  readonly outage: { add(part: RedisOutage): void; remove(part: RedisOutage): void };
  /** Called on every change of the state of a link. */
  readonly onState: (state: LinkState) => void;
  readonly onResubscribed: () => void;
  /** Called with a channel that a node has dropped or refused, because its slot is somewhere else. */
  readonly onChannelMoved: (channel: string, link: RedisLink) => void;
}

interface ClusterLinksSettings {
  readonly keyPrefix: string;
  readonly commandTimeoutMs: number;
  readonly stallLimitMs: number;
}

/** What is still under way on the connections to a node without slots may be answered for this long. */
const retireMs = 1000;

/** The links to the primaries of a Redis Cluster, and which one has a slot. */
export class ClusterLinks {
  readonly writes = new RedisWrites();
  private readonly links = new Map<string, RedisLink>();
  private readonly retired = new Set<RedisLink>();
  private readonly former: LinkCounts = { reconnects: 0, errors: 0, stalls: 0 };
  private owners: readonly (RedisLink | undefined)[] = [];

  constructor(
    private readonly dependencies: ClusterLinksDependencies,
    private readonly settings: ClusterLinksSettings,
  ) {}

  ownerOf(slot: number): RedisLink | undefined {
    return this.owners[slot];
  }

  at(address: string): RedisLink | undefined {
    return this.links.get(this.dependencies.table.resolve(address));
  }

  /** Those that have slots, in the order of their first ones. */
  serving(): RedisLink[] {
    return [...new Set(this.owners)].filter((link) => link !== undefined);
  }

  /** Those that are up, with their hosts. */
  connected(): (readonly [RedisLink, RedisHost])[] {
    const { nodes } = this.dependencies.table;
    return [...this.links].flatMap(([address, link]) =>
      link.state === 'up' ? [[link, nodes.get(address)!] as const] : [],
    );
  }

  /** Whether each slot has a node that is up. */
  get areWhole(): boolean {
    return this.owners.length === slotCount && this.owners.every((link) => link?.state === 'up');
  }

  get counts(): LinkCounts {
    const sum = { ...this.former };
    for (const { counts } of this.links.values()) addTo(sum, counts);
    return sum;
  }

  /** Why the service cannot work with a node; undefined if there is no such reason. */
  get unsupported(): string | undefined {
    for (const { unsupported } of this.links.values()) if (unsupported !== undefined) return unsupported;
    return undefined;
  }

  /** Opens and closes links, and gives each slot its link: the table has changed. */
  arrange(): void {
    const { table, log } = this.dependencies;
    const { nodes } = table;
    const before = [...this.links.keys()].sort().join();
    for (const [address, host] of nodes) if (!this.links.has(address)) this.open(address, host);
    this.owners = Array.from({ length: slotCount }, (_, slot) => {
      const address = table.ownerOf(slot);
      return address === undefined ? undefined : this.links.get(address);
    });
    for (const [address, link] of this.links) if (!nodes.has(address)) this.retire(address, link);
    const primaries = [...nodes.keys()].sort();
    if (primaries.join() !== before) log.info('The primaries of the Redis Cluster', { primaries });
  }

  async close(): Promise<void> {
    await Promise.all([...this.links.values(), ...this.retired].map((link) => link.close()));
  }

  private open(address: string, host: RedisHost): void {
    const { log, connectorTo, outage, onState, onResubscribed, onChannelMoved } = this.dependencies;
    const link: RedisLink = new RedisLink(
      {
        log: nodeLog(log, address),
        connector: connectorTo(host),
        writes: this.writes,
        onChannelMoved: (channel) => onChannelMoved(channel, link),
      },
      { url: '', ...this.settings, inCluster: true },
    );
    this.links.set(address, link);
    outage.add(link.outage);
    link.onState((state) => {
      if (this.links.get(address) === link) onState(state);
    });
    link.onResubscribed(() => {
      if (this.links.get(address) === link) onResubscribed();
    });
    link.start();
  }

  private retire(address: string, link: RedisLink): void {
    this.links.delete(address);
    this.dependencies.outage.remove(link.outage);
    addTo(this.former, link.counts);
    this.retired.add(link);
    const timer = setTimeout(() => {
      this.retired.delete(link);
      void link.close();
    }, retireMs);
    timer.unref();
  }
}

function addTo(sum: LinkCounts, { reconnects, errors, stalls }: LinkCounts): void {
  sum.reconnects += reconnects;
  sum.errors += errors;
  sum.stalls += stalls;
}
