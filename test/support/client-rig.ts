import { createClient, type Client } from '../../client/index.js';
import type { Closing } from './closing.js';
import { TestRedis, type Persistence } from './redis.js';
import { TestReplica, tokenOf } from './replica.js';
import { until } from './wait.js';

/** How long something may take on a busy machine, in milliseconds. */
export const patienceMs = 40_000;

/** A client that keeps what it is given. */
export interface ReadingClient {
  readonly client: Client;
  readonly list: unknown[];
  readonly losses: string[];
}

/** Replicas, their Redis, and clients of the library on the topic `news`. */
export class ClientRig {
  constructor(private readonly closing: Closing) {}

  async redis(persistence: Persistence = 'aof', options: readonly string[] = []): Promise<TestRedis> {
    const redis = await TestRedis.start(persistence, options);
    this.closing.add(() => redis.stop());
    return redis;
  }

  async replica(redisUrl: string): Promise<TestReplica> {
    const replica = await TestReplica.start({
      REDIS_URL: redisUrl,
      RTC_WEBSOCKET_HEARTBEAT_INTERVAL_SECS: '1',
      RTC_WEBSOCKET_CLIENT_TIMEOUT_SECS: '2',
    });
    this.closing.add(() => replica.end('SIGKILL'));
    return replica;
  }

  client(port: number, user = 'bob'): Client {
    const client = createClient({
      url: `http://127.0.0.1:${port}`,
      token: tokenOf(user),
      reconnect: { baseDelayMs: 50, maxDelayMs: 500 },
    });
    this.closing.add(() => Promise.resolve(client.close()));
    return client.connect();
  }

  /** Resolves when the topic is subscribed. */
  async read(port: number): Promise<ReadingClient> {
    const client = this.client(port, 'ann');
    const reader: ReadingClient = { client, list: [], losses: [] };
    const subscription = client.topic('news').subscribe();
    const subscribed = new Promise((resolve) => subscription.on('subscribed', resolve));
    subscription.on('message', ({ payload }) => reader.list.push(payload));
    subscription.on('gap', ({ reason }) => reader.losses.push(reason));
    await subscribed;
    return reader;
  }
}

export async function publish(client: Client, ...payloads: unknown[]): Promise<void> {
  for (const payload of payloads) await client.topic('news').publish(payload);
}

export const has = ({ list }: ReadingClient, payload: unknown): Promise<void> =>
  until(() => list.includes(payload), `${String(payload)} arrives`, patienceMs);

/** Sends direct messages, no more at a time than a client keeps. Resolves to their payloads. */
export async function sendDirects(client: Client, to: string, count: number): Promise<number[]> {
  const numbers = Array.from({ length: count }, (_, n) => n);
  for (let n = 0; n < count; n += 500)
    await Promise.all(
      numbers.slice(n, n + 500).map((payload) => client.direct(to, payload, { confirm: 'stored' })),
    );
  return numbers;
}
