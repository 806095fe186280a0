import type { Socket } from 'socket.io-client';
import { connectClient } from './clients.js';
import { TestRedis, type Persistence } from './redis.js';
import { TestReplica } from './replica.js';

/** Where replicas store shared state. */
export type TestStorage = 'redis' | 'memory';

/** The replicas of a pair in a test title. */
export const titleOf = (storage: TestStorage): string =>
  storage === 'redis' ? 'two replicas' : 'one replica in memory';

/**
 * Replicas `a` and `b` with their own Redis, or one replica under both names in memory, with the clients
 * connected to them.
 */
export class ReplicaPair {
  private readonly sockets: Socket[] = [];

  private constructor(
    readonly a: TestReplica,
    readonly b: TestReplica,
    readonly redis: TestRedis | undefined,
  ) {}

  static async start(
    storage: TestStorage,
    more: NodeJS.ProcessEnv = {},
    persistence: Persistence = 'none',
  ): Promise<ReplicaPair> {
    const redis = storage === 'redis' ? await TestRedis.start(persistence) : undefined;
    const environment = { ...more, ...(redis && { REDIS_URL: redis.url }) };
    const a = await TestReplica.start({ ...environment, REPLICA_ID: 'a' });
    const b = redis === undefined ? a : await TestReplica.start({ ...environment, REPLICA_ID: 'b' });
    return new ReplicaPair(a, b, redis);
  }

  async connect(replica: TestReplica, user: string): ReturnType<typeof connectClient> {
    const socket = await connectClient(replica.url, user);
    this.sockets.push(socket);
    return socket;
  }

  disconnectAll(): void {
    for (const socket of this.sockets.splice(0)) socket.disconnect();
  }

  async stop(): Promise<void> {
    this.disconnectAll();
    await this.a.end('SIGKILL');
    await this.b.end('SIGKILL');
    await this.redis?.stop();
  }
}
