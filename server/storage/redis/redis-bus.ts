import type { Bus, BusHandler } from '../../cluster/bus.js';
import type { Log } from '../../logging/log.js';
import { withTimeout } from '../../primitives/with-timeout.js';
import type { RedisLink } from './redis-link.js';
import { RedisScript } from './redis-script.js';

interface RedisBusDependencies {
  readonly link: RedisLink;
  readonly log: Log;
}

interface RedisBusSettings {
  readonly keyPrefix: string;
  readonly replicaId: string;
}

interface BusMessage {
  readonly kind: string;
  readonly from: string;
  readonly data: unknown;
}

const heartbeatMs = 1000;
/** A replica without a heartbeat for this long is no longer live. */
const goneAfterMs = 5000;
/** A request for the list returns the last known one after this time. */
const listLimitMs = 1000;

/**
 * The bus over Redis publish/subscribe. Replicas register in a sorted set, by the time of their last
 * heartbeat.
 */
export class RedisBus implements Bus {
  readonly replicaId: string;
  private readonly handlers = new Map<string, BusHandler>();
  private readonly script = new RedisScript('replicas');
  private readonly timer: NodeJS.Timeout;
  private known: string[];
  private closed = false;

  constructor(
    private readonly dependencies: RedisBusDependencies,
    private readonly settings: RedisBusSettings,
  ) {
    this.replicaId = settings.replicaId;
    this.known = [settings.replicaId];
    const { link } = dependencies;
    const onMessage = (message: Buffer) => this.receive(message);
    // A subscription that fails now is repeated when the link comes up.
    link.subscribe(this.channel(), onMessage).catch(() => {});
    link.subscribe(this.channel(this.replicaId), onMessage).catch(() => {});
    link.onState((state) => {
      if (state === 'up') void this.beat();
    });
    this.timer = setInterval(() => void this.beat(), heartbeatMs);
    this.timer.unref();
  }

  on(kind: string, handler: BusHandler): void {
    this.handlers.set(kind, handler);
  }

  send(replicaId: string, kind: string, data: unknown): void {
    if (replicaId === this.replicaId) this.handle({ kind, from: replicaId, data });
    else this.publish(this.channel(replicaId), kind, data);
  }

  broadcast(kind: string, data: unknown): void {
    this.publish(this.channel(), kind, data);
  }

  async replicas(): Promise<string[]> {
    await withTimeout(this.beat(), listLimitMs).catch(() => {});
    return this.known;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.timer);
    this.handlers.clear();
    await this.dependencies.link.call(['ZREM', this.registry(), this.replicaId]).catch(() => {});
  }

  private channel(replicaId?: string): string {
    return `${this.settings.keyPrefix}:bus${replicaId === undefined ? '' : `:${replicaId}`}`;
  }

  private registry(): string {
    return `${this.settings.keyPrefix}:replicas`;
  }

  /** Never rejects: while Redis is unreachable it returns the last known list. */
  private async beat(): Promise<void> {
    if (this.closed) return;
    try {
      const args = [this.replicaId, String(goneAfterMs)];
      this.known = await this.script.run<string[]>(this.dependencies.link, [this.registry()], args);
    } catch (error) {
      this.dependencies.log.debug('Heartbeat not sent', { error });
    }
  }

  private publish(channel: string, kind: string, data: unknown): void {
    const message: BusMessage = { kind, from: this.replicaId, data };
    this.dependencies.link.call(['PUBLISH', channel, JSON.stringify(message)]).catch(() => {
      this.dependencies.log.debug('Message to other replicas not sent', { kind });
    });
  }

  private receive(message: Buffer): void {
    const parsed = JSON.parse(message.toString()) as BusMessage;
    if (parsed.from !== this.replicaId) this.handle(parsed);
  }

  private handle({ kind, from, data }: BusMessage): void {
    try {
      this.handlers.get(kind)?.(data, from);
    } catch (error) {
      this.dependencies.log.error('Handler of a message from another replica failed', { kind, from, error });
    }
  }
}
