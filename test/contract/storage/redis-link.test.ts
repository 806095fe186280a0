import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { RedisBroker } from '../../../server/storage/redis/redis-broker.js';
import { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { silentLog } from '../../../server/logging/log.js';
import { TestRedis } from '../../support/redis.js';
import { until } from '../../support/wait.js';
import { entry, listen } from '../log/broker-contract.js';
import { Closing } from '../../support/closing.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { root } from '../../support/root.js';

const settings = { commandTimeoutMs: 500, stallLimitMs: 1500 };
const retention = { historySize: 1000, historyTtlMs: 60_000, idempotencyMs: 60_000, fullAt: 0 };

describe('RedisLink', function () {
  this.timeout(60_000);
  const closing = new Closing();
  const startRedis = (...args: Parameters<typeof TestRedis.start>) =>
    closing.started(TestRedis.start(...args));
  const open = (url: string, waitReplicas = 0) => {
    const link = new RedisLink({ log: silentLog }, { url, ...settings });
    const broker = new RedisBroker(
      { link, retentionOf: () => retention, log: silentLog, now: Date.now },
      { keyPrefix: 'rtc', outcomeLimitMs: 10_000, waitReplicas, unusedKeepMs: 120_000 },
    );
    closing.add(async () => {
      await broker.close();
      await link.close();
    });
    link.start();
    return { link, broker };
  };
  afterEach(() => closing.close());

  it('is down while Redis still loads its data', async () => {
    const redis = await startRedis();
    const { link, broker } = open(redis.url);
    await link.whenUp(30_000);
    for (let i = 0; i < 60; i++) await broker.append(`t${i}`, [entry('a')]);
    await redis.command('SAVE');
    await redis.signal('SIGKILL');
    await until(() => link.state === 'down', 'the link reports the loss');
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
    assert.equal(refusedWhileUp, 0, 'it is up only when Redis answers commands');
  });

  it('refuses a Redis replica as the log, and continues when it is promoted', async () => {
    const [first, second] = [await startRedis(), await startRedis()];
    const { link, broker } = open(first.url);
    await link.whenUp(30_000);
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

  it('replaces a subscription connection that receives nothing any more', async () => {
    const redis = await startRedis();
    const proxy = await closing.started(TcpProxy.start(redis.port));
    const { link, broker } = open(proxy.url);
    await link.whenUp(30_000);
    const received = listen(broker);
    await broker.follow('t');
    proxy.hold('subscriptions');
    await until(() => received.resyncs > 0, 'the resync is announced', 15_000);
    await broker.append('t', [entry('a')]);
    await until(() => received.batches.length === 1, 'batches arrive again');
  });

  it('moves its subscriptions to a new connection later if Redis refuses them for a while', async () => {
    const redis = await startRedis();
    const { link, broker } = open(redis.url);
    await link.whenUp(30_000);
    const received = listen(broker);
    await broker.follow('t');
    const user = new URL(redis.url).username || 'default';
    await redis.command(`ACL SETUSER ${user} -subscribe`);
    const { resyncs } = received;
    const isRefused = async () =>
      /rejected_calls=[1-9]/.test((await redis.info('commandstats')).get('cmdstat_subscribe') ?? '');
    link.renewSubscriptions();
    await until(isRefused, 'Redis has refused it');
    assert.equal(link.state, 'up', 'the former connection is used');
    await redis.command(`ACL SETUSER ${user} +subscribe`);
    await until(() => received.resyncs > resyncs, 'the new connection is used');
    await broker.append('t', [entry('a')]);
    await until(() => received.batches.length === 1, 'batches arrive');
  });

  it('[P3] reports `replicated` only for data that replicas have, also when Redis has lost the script', async () => {
    const [redis, replica] = [await startRedis(), await startRedis()];
    await replica.command(`REPLICAOF 127.0.0.1 ${redis.port}`);
    const { link, broker } = open(redis.url, 1);
    await link.whenUp(30_000);
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

  it('[P3] refuses an append that reaches Redis after its caller has timed out', async () => {
    const redis = await startRedis();
    const proxy = await closing.started(TcpProxy.start(redis.port));
    const { link, broker } = open(proxy.url);
    await link.whenUp(30_000);
    await broker.append('t', [entry('a')]);
    proxy.hold('commands');
    await assert.rejects(
      () => broker.append('t', [entry('b')]),
      (error: { code?: string }) => error.code === 'unavailable',
    );
    assert.ok((await proxy.release()) > 0, 'the command arrives late');
    assert.equal((await broker.ends(['t']))[0]!.sequence, 1);
    assert.equal((await broker.append('t', [entry('c')]))[0]!.sequence, 2);
  });

  it('leaves nothing that keeps the process alive, and may be closed twice', async () => {
    const redis = await startRedis();
    const script = `
      const { RedisLink } = require('./server/storage/redis/redis-link.ts');
      const { RedisBroker } = require('./server/storage/redis/redis-broker.ts');
      const { RedisBus } = require('./server/storage/redis/redis-bus.ts');
      const { RedisReplicaRegistry } = require('./server/storage/redis/redis-replica-registry.ts');
      const { AdapterClients } = require('./server/storage/redis/adapter-clients.ts');
      const { MemoryBroker } = require('./server/storage/memory/memory-broker.ts');
      const { silentLog: log } = require('./server/logging/log.ts');
      (async () => {
        const url = '${redis.url}';
        const retentionOf = () => (${JSON.stringify(retention)});
        const link = new RedisLink({ log }, { url, ...${JSON.stringify(settings)} });
        const identity = { id: 'a', name: 'a', version: '0', settings: {} };
        const registry = new RedisReplicaRegistry({ link, log }, { keyPrefix: 'rtc', identity });
        const bus = new RedisBus({ link, registry, log }, { keyPrefix: 'rtc' });
        const broker = new RedisBroker({ link, retentionOf, log, now: Date.now }, { keyPrefix: 'rtc', outcomeLimitMs: 10000, waitReplicas: 0, unusedKeepMs: 120_000 });
        const adapter = new AdapterClients({ log }, { url, answerLimitMs: 1000 });
        const memory = new MemoryBroker({ retentionOf, now: Date.now });
        link.start();
        adapter.start();
        await link.whenUp(30_000);
        await broker.follow('t');
        await broker.append('t', [{ id: 'x', entry: Buffer.from('"x"') }]);
        for (const part of [registry, bus, broker, adapter, link, memory]) { await part.close(); await part.close(); }
        console.log('closed');
      })();`;
    const child = spawn(process.execPath, ['-r', 'tsx/cjs', '-e', script], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data: Buffer) => (output += data.toString()));
    closing.add(async () => void child.kill('SIGKILL'));
    await until(() => child.exitCode !== null, 'the process ends without a signal', 20_000);
    assert.deepEqual([output, child.exitCode], ['closed\n', 0]);
  });
});
