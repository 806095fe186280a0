import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { RedisBroker } from '../../server/cluster/redis-broker.js';
import { RedisLink } from '../../server/cluster/redis-link.js';
import { silentLog } from '../../server/telemetry/log.js';
import { TestRedis } from '../support/redis.js';
import { freePort, until } from '../support/wait.js';
import { entry, listen } from './broker-contract.js';

const settings = { commandTimeoutMs: 500, stallLimitMs: 1500 };
const retention = { historySize: 1000, historyTtlMs: 60_000, idempotencyMs: 60_000 };

/** Passes connections on to Redis; each can be made to hang, as a broken network path does. */
class Proxy {
  readonly sockets: { client: Socket; redis: Socket; subscriber: boolean }[] = [];
  private constructor(
    readonly port: number,
    private readonly server: Server,
  ) {}

  static async start(redisPort: number): Promise<Proxy> {
    const port = await freePort();
    const server = createServer();
    const proxy = new Proxy(port, server);
    server.on('connection', (client) => {
      const pair = { client, redis: connect(redisPort, '127.0.0.1'), subscriber: false };
      proxy.sockets.push(pair);
      client.on('data', (data) => {
        if (/\bsubscribe\b/i.test(data.toString('latin1'))) pair.subscriber = true;
        pair.redis.write(data);
      });
      pair.redis.on('data', (data) => client.write(data));
      for (const [one, other] of [
        [client, pair.redis],
        [pair.redis, client],
      ] as const) {
        one.on('error', () => {});
        one.on('close', () => other.destroy());
      }
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return proxy;
  }

  /** From now on nothing passes on the subscriptions' connections, and nobody is told. */
  hangSubscribers(): void {
    for (const { client, redis, subscriber } of this.sockets) {
      if (!subscriber) continue;
      client.removeAllListeners('data').resume();
      redis.removeAllListeners('data').resume();
    }
  }

  async stop(): Promise<void> {
    for (const { client, redis } of this.sockets) {
      client.destroy();
      redis.destroy();
    }
    await new Promise((resolve) => this.server.close(resolve));
  }
}

describe('RedisLink', function () {
  this.timeout(60_000);
  const closing: (() => Promise<unknown>)[] = [];
  const startRedis = async (...args: Parameters<typeof TestRedis.start>) => {
    const redis = await TestRedis.start(...args);
    closing.unshift(() => redis.stop());
    return redis;
  };
  const open = (url: string, waitReplicas = 0) => {
    const link = new RedisLink({ log: silentLog }, { url, ...settings });
    const broker = new RedisBroker(
      { link, retentionOf: () => retention, log: silentLog, nowMs: Date.now },
      { keyPrefix: 'rtc', outcomeLimitMs: 10_000, waitReplicas },
    );
    closing.unshift(async () => {
      await broker.close();
      await link.close();
    });
    link.start();
    return { link, broker };
  };
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  it('is down while Redis still loads its data', async () => {
    const redis = await startRedis();
    const { link, broker } = open(redis.url);
    await link.whenUp(5000);
    for (let i = 0; i < 60; i++) await broker.append(`t${i}`, [entry('a')]);
    await redis.command('SAVE');
    await redis.signal('SIGKILL');
    await until(() => link.state === 'down', 'the loss is noticed');
    // 20 ms for each key.
    await redis.launch(['--key-load-delay', '20000', '--loading-process-events-interval-bytes', '1024']);
    await until(async () => (await redis.command('PING'))?.startsWith('-LOADING') === true, 'Redis loads');
    let refusedWhileUp = 0;
    await until(async () => {
      const wasUp = link.state === 'up';
      const ended = await broker.ends(['t1']).then(
        () => true,
        () => false,
      );
      if (wasUp && !ended) refusedWhileUp++;
      return ended;
    }, 'Redis has loaded');
    assert.equal(refusedWhileUp, 0, 'up means that Redis serves');
  });

  it('does not take a replica of Redis for the log, and goes on when it is promoted', async () => {
    const [first, second] = [await startRedis(), await startRedis()];
    const { link, broker } = open(first.url);
    await link.whenUp(5000);
    await broker.append('t', [entry('a')]);
    await first.command(`REPLICAOF 127.0.0.1 ${second.port}`);
    await assert.rejects(
      () => broker.append('t', [entry('b')]),
      (error: { code?: string }) => error.code === 'unavailable',
    );
    await until(() => link.state === 'down', 'the link is down');
    await first.command('REPLICAOF NO ONE');
    await until(() => link.state === 'up', 'the link is up again');
    await broker.append('t', [entry('c')]);
  });

  it('replaces a subscription connection on which nothing comes any more', async () => {
    const redis = await startRedis();
    const proxy = await Proxy.start(redis.port);
    closing.unshift(() => proxy.stop());
    const { link, broker } = open(`redis://127.0.0.1:${proxy.port}`);
    await link.whenUp(5000);
    const heard = listen(broker);
    await broker.follow('t');
    proxy.hangSubscribers();
    await until(() => heard.resyncs > 0, 'the resync is told', 15_000);
    await broker.append('t', [entry('a')]);
    await until(() => heard.batches.length === 1, 'batches are heard again');
  });

  it('[P3] says replicated only of what replicas have, also when Redis has forgotten the script', async () => {
    const [redis, replica] = [await startRedis(), await startRedis()];
    await replica.command(`REPLICAOF 127.0.0.1 ${redis.port}`);
    const { link, broker } = open(redis.url, 1);
    await link.whenUp(5000);
    await until(
      async () => (await broker.append('t', [entry('a')]))[0]!.durability === 'replicated',
      'the replica follows',
      20_000,
    );
    await replica.signal('SIGSTOP');
    await redis.command('SCRIPT FLUSH');
    const [receipt] = await broker.append('t', [entry('b')]);
    assert.equal(receipt!.durability, 'stored');
  });
});
