import { FaultProxy } from '../../bench/chaos/faults/fault-proxy.js';
import { silentLog } from '../../server/logging/log.js';
import type { PresenceAnswer } from '../../server/presence/presence-reader.js';
import { PresenceService } from '../../server/presence/presence-service.js';
import { RedisLink } from '../../server/storage/redis/redis-link.js';
import { RedisPresenceStore } from '../../server/storage/redis/redis-presence-store.js';
import { redisReplica, type RedisReplica } from './redis-replica.js';

interface PresenceEvent {
  readonly topic: string;
  readonly event: 'join' | 'leave';
  readonly user_id: string;
}

/** Short, so that a test sees many leases end. */
const times = { heartbeatMs: 60, leaseMs: 300 };
const page = { limit: 1000, bytes: 1_000_000 };

/** The presence of one replica on its own path to Redis, with a client that watches topics as the guide says. */
export class PresenceReplica {
  /** Connections of users on topics of this replica: the truth. */
  readonly connections = new Map<string, Map<string, number>>();
  /** What the watcher believes, by topic. */
  readonly believed = new Map<string, Set<string>>();
  readonly events: PresenceEvent[] = [];
  /** Events that came while the watcher asked, by topic. */
  private readonly early = new Map<string, PresenceEvent[]>();
  private ended = false;

  private constructor(
    readonly id: string,
    readonly path: FaultProxy,
    private readonly link: RedisLink,
    private readonly replica: RedisReplica,
    readonly service: PresenceService,
  ) {}

  static async start(redisPort: number, id: string): Promise<PresenceReplica> {
    const path = await FaultProxy.start(redisPort);
    const link = new RedisLink(
      { log: silentLog },
      { url: `redis://127.0.0.1:${path.port}`, commandTimeoutMs: 200, stallLimitMs: 1000 },
    );
    const replica = redisReplica(link, id, times);
    const { registry, bus } = replica;
    const store = new RedisPresenceStore({ link, bus, registry, log: silentLog }, { keyPrefix: 'rtc' });
    const notify = (_topic: string, event: object) => started.receive(event as PresenceEvent);
    const service = new PresenceService({ store, log: silentLog, notify });
    const started = new PresenceReplica(id, path, link, replica, service);
    link.onState((state) => {
      if (state === 'up') service.restore();
    });
    link.start();
    return started;
  }

  join(topic: string, userId: string): void {
    this.change(topic, userId, 1);
    this.service.joined(topic, userId);
  }

  leave(topic: string, userId: string): void {
    if (this.count(topic, userId) === 0) return;
    this.change(topic, userId, -1);
    this.service.left(topic, userId);
  }

  count(topic: string, userId: string): number {
    return this.connections.get(topic)?.get(userId) ?? 0;
  }

  /** Watches a topic: asks for the users, and applies to the answer what came since the question. */
  async watch(topic: string): Promise<void> {
    this.service.watched(topic);
    for (;;) {
      this.early.set(topic, []);
      const answer = await this.ask(topic);
      if (this.ended) return;
      const early = this.early.get(topic)!;
      this.early.delete(topic);
      if (answer === undefined) continue;
      this.believed.set(topic, new Set(answer.users.map(({ user_id }) => user_id)));
      for (const event of early) this.apply(event);
      return;
    }
  }

  /** Connections per user in the whole cluster, as the replica says; undefined if it cannot say. */
  async ask(topic: string): Promise<PresenceAnswer | undefined> {
    try {
      const answer = await this.service.of(topic, page);
      if (answer.partial !== true) return answer;
    } catch {
      // Presence is switched off.
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    return undefined;
  }

  /** Stops as after SIGTERM. */
  async stop(): Promise<void> {
    this.connections.clear();
    await this.service.close();
    await this.replica.close();
    await this.kill();
  }

  /** Ends as after SIGKILL: nothing is written any more. */
  async kill(): Promise<void> {
    this.ended = true;
    this.connections.clear();
    await this.link.close();
    await this.path.stop();
    await this.service.close();
    await this.replica.close();
  }

  private receive(event: PresenceEvent): void {
    this.events.push(event);
    this.early.get(event.topic)?.push(event);
    this.apply(event);
  }

  private apply({ topic, event, user_id: userId }: PresenceEvent): void {
    if (event === 'join') this.believed.get(topic)?.add(userId);
    else this.believed.get(topic)?.delete(userId);
  }

  private change(topic: string, userId: string, by: number): void {
    const users = this.connections.get(topic) ?? new Map<string, number>();
    this.connections.set(topic, users.set(userId, (users.get(userId) ?? 0) + by));
  }
}
