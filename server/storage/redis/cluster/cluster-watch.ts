import type { RedisHost } from '../../../config/redis-url.js';
import type { Log } from '../../../logging/log.js';
import { withTimeout } from '../../../primitives/with-timeout.js';
import { destroy } from '../redis-client.js';
import type { RedisConnector } from '../redis-connector.js';
import { outageKindOf } from '../redis-outage.js';
import type { RedisNode } from '../redis-store.js';
import { addressOf, readClusterNodes, type ClusterView } from './cluster-view.js';

interface ClusterWatchDependencies {
  readonly log: Log;
  /** The nodes that can be asked on an open connection, with their hosts. */
  readonly connected: () => readonly (readonly [node: RedisNode, host: RedisHost])[];
  /** The nodes that were named last, asked if none is connected. */
  readonly known: () => readonly RedisHost[];
  readonly connectorTo: (host: RedisHost) => RedisConnector;
  /** Called with the answers of each round, and an error if there is none. */
  readonly onViews: (views: readonly ClusterView[], error: Error | undefined) => Promise<void> | void;
}

/** How often the nodes are asked, in milliseconds: a failover takes seconds. */
const askEveryMs = 500;
/** The pause between two rounds that somebody waits for. */
const askAgainMs = 50;
const answerLimitMs = 1000;
/** Nodes that are asked in one round, if none is connected: each costs a new client. */
const askedAtOnce = 3;

/** Asks the nodes of a Redis Cluster for its layout, again and again, and at once when a node says that it has changed. */
export class ClusterWatch {
  private timer: NodeJS.Timeout | undefined;
  private round: Promise<void> | undefined;
  private endedAt = -Infinity;
  /** Where the next round begins, if no node is connected. */
  private turn = 0;
  private isClosed = false;

  constructor(
    private readonly dependencies: ClusterWatchDependencies,
    /** The nodes in the settings. */
    private readonly seeds: readonly RedisHost[],
  ) {}

  start(): void {
    void this.refresh();
  }

  /** Resolves after a round that began after this call, or a moment before. Never rejects. */
  async refresh(): Promise<void> {
    if (this.isClosed) return;
    this.round ??= this.ask().finally(() => {
      this.round = undefined;
      this.endedAt = performance.now();
      clearTimeout(this.timer);
      if (this.isClosed) return;
      this.timer = setTimeout(() => void this.refresh(), askEveryMs);
      this.timer.unref();
    });
    await this.round;
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
  }

  private async ask(): Promise<void> {
    const sinceMs = performance.now() - this.endedAt;
    if (sinceMs < askAgainMs) await new Promise<void>((resolve) => setTimeout(resolve, askAgainMs - sinceMs));
    const { connected, known, onViews, log } = this.dependencies;
    const open = connected();
    const asked =
      open.length > 0
        ? open.map(([node, { host }]) => this.askNode(node.call<string>(['CLUSTER', 'NODES']), host))
        : this.inTurn([...this.seeds, ...known()]).map((host) => this.askHost(host));
    const results = await Promise.allSettled(asked);
    if (this.isClosed) return;
    const views = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failures = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as Error] : [],
    );
    try {
      await onViews(views, views.length === 0 ? mostTelling(failures) : undefined);
    } catch (error) {
      log.error('Layout of the Redis Cluster not applied', { error });
    }
  }

  private inTurn(hosts: readonly RedisHost[]): RedisHost[] {
    const all = distinct(hosts);
    const count = Math.min(askedAtOnce, all.length);
    const chosen = Array.from({ length: count }, (_, n) => all[(this.turn + n) % all.length]!);
    this.turn = (this.turn + count) % Math.max(1, all.length);
    return chosen;
  }

  private async askNode(answer: Promise<string>, host: string): Promise<ClusterView> {
    return readClusterNodes(String(await withTimeout(answer, answerLimitMs)), host);
  }

  /** On a connection of its own, which is closed again. */
  private async askHost(host: RedisHost): Promise<ClusterView> {
    const client = this.dependencies.connectorTo(host).newClient();
    let failure: Error | undefined;
    client.on('error', (error: Error) => (failure = error));
    try {
      await withTimeout(client.connect(), answerLimitMs);
      return await this.askNode(client.sendCommand<string>(['CLUSTER', 'NODES']), host.host);
    } catch (error) {
      throw failure ?? error;
    } finally {
      destroy(client);
    }
  }
}

/** What one node refuses says more than that another one is down. */
function mostTelling(failures: readonly Error[]): Error | undefined {
  return failures.find((error) => outageKindOf(error) !== 'unreachable') ?? failures[0];
}

function distinct(hosts: readonly RedisHost[]): RedisHost[] {
  return [...new Map(hosts.map((host) => [addressOf(host), host])).values()];
}
