import type { Bus, BusHandler } from '../../cluster/bus.js';
import type { Log } from '../../logging/log.js';
import { withTimeout } from '../../primitives/with-timeout.js';
import type { ReplicaRegistry } from '../../cluster/replica-registry.js';
import { replicaKeys } from './replica-keys.js';
import type { RedisStore } from './redis-store.js';
import { storageFormat } from './storage-format.js';

interface RedisBusDependencies {
  readonly link: RedisStore;
  readonly registry: ReplicaRegistry;
  readonly log: Log;
}

interface RedisBusSettings {
  readonly keyPrefix: string;
}

interface BusMessage {
  /** The {@link storageFormat} of the sender; releases 0.1 to 0.2 do not send it. */
  readonly v?: number;
  readonly kind: string;
  readonly from: string;
  readonly data: unknown;
}

/** The list counts as unknown after this time, in milliseconds. */
const listLimitMs = 1000;

/** The bus over Redis publish/subscribe, for the replicas of the registry. */
export class RedisBus implements Bus {
  readonly replicaId: string;
  /** The channel of all replicas. */
  private readonly all: string;
  private readonly handlers = new Map<string, BusHandler>();
  /** Replicas whose messages are of a newer format. */
  private readonly newer = new Set<string>();
  private closed = false;

  constructor(
    private readonly dependencies: RedisBusDependencies,
    settings: RedisBusSettings,
  ) {
    this.all = replicaKeys(settings.keyPrefix).bus;
    this.replicaId = dependencies.registry.replicaId;
    const { link } = dependencies;
    const onMessage = (message: Buffer) => this.receive(message);
    // A subscription that fails now is repeated when the link comes up.
    link.subscribe(this.channel(), onMessage).catch(() => {});
    link.subscribe(this.channel(this.replicaId), onMessage, 'slot').catch(() => {});
  }

  on(kind: string, handler: BusHandler): void {
    this.handlers.set(kind, handler);
  }

  send(replicaId: string, kind: string, data: unknown): void {
    if (replicaId === this.replicaId) this.handle({ kind, from: replicaId, data });
    else void this.publish(this.channel(replicaId), kind, data);
  }

  async reach(replicaId: string, kind: string, data: unknown): Promise<boolean | undefined> {
    if (replicaId === this.replicaId) {
      this.send(replicaId, kind, data);
      return true;
    }
    const receivers = await this.publish(this.channel(replicaId), kind, data);
    return receivers === undefined ? undefined : receivers > 0;
  }

  broadcast(kind: string, data: unknown): void {
    void this.publish(this.channel(), kind, data);
  }

  async replicas(): Promise<string[]> {
    return (await this.liveReplicas()) ?? [...this.dependencies.registry.latest.live];
  }

  async liveReplicas(): Promise<string[] | undefined> {
    const { registry } = this.dependencies;
    const isNew = await withTimeout(registry.beat(), listLimitMs).catch(() => false);
    return isNew ? [...registry.latest.live] : undefined;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.handlers.clear();
  }

  private channel(replicaId?: string): string {
    return replicaId === undefined ? this.all : `${this.all}:${replicaId}`;
  }

  /** Resolves to the number of receivers; subscribers of patterns, who are no replicas, count too. */
  private async publish(channel: string, kind: string, data: unknown): Promise<number | undefined> {
    const message: BusMessage = { v: storageFormat, kind, from: this.replicaId, data };
    const { link } = this.dependencies;
    // Scripts publish to all replicas from any node of a Redis Cluster: that channel is one of the whole cluster.
    const command = channel === this.all ? 'PUBLISH' : link.publishCommand;
    try {
      return Number(await link.call([command, channel, JSON.stringify(message)]));
    } catch {
      this.dependencies.log.debug('Message to other replicas not sent', { kind });
      return undefined;
    }
  }

  private receive(message: Buffer): void {
    const parsed = JSON.parse(message.toString()) as BusMessage;
    if (parsed.from === this.replicaId) return;
    if ((parsed.v ?? 1) > storageFormat) this.complain(parsed);
    else this.handle(parsed);
  }

  /** Once for each replica: what a newer format means is not guessed. */
  private complain({ from, v }: BusMessage): void {
    if (this.newer.has(from)) return;
    this.newer.add(from);
    this.dependencies.log.error('A replica of a newer release sends what this release cannot read', {
      from,
      format: v,
      reads: storageFormat,
      remedy: 'replace this replica by the newer release',
    });
  }

  private handle({ kind, from, data }: BusMessage): void {
    try {
      this.handlers.get(kind)?.(data, from);
    } catch (error) {
      this.dependencies.log.error('Handler of a message from another replica failed', { kind, from, error });
    }
  }
}
