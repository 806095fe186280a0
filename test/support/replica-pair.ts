import type { Socket } from 'socket.io-client';
import { connectClient } from './clients.js';
import { TestRedis, type Persistence } from './redis.js';
import { TestReplica } from './replica.js';

/** Where replicas keep what they share. */
export type TestStorage = 'redis' | 'memory';

/** Names the replicas of a pair in the title of a test. */
export const titleOf = (storage: TestStorage): string =>
  storage === 'redis' ? 'two replicas' : 'one replica in memory';

/** Replicas `a` and `b` over a Redis of their own, or the same one twice in memory; and the clients that were connected to them. */
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
