import assert from 'node:assert/strict';
import { silentLog } from '../../../server/logging/log.js';
import { saysAlways } from '../../../server/storage/redis/redis-process.js';
import { RedisBroker } from '../../../server/storage/redis/redis-broker.js';
import { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { RefusalError } from '../../../shared/errors.js';
import { Closing } from '../../support/closing.js';
import { retention } from '../../support/redis-brokers.js';
import { promptReplication, TestRedis } from '../../support/redis.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { until } from '../../support/wait.js';
import { entry } from '../log/broker-contract.js';

/** Without the delay in which Redis waits for more replicas. */
const isCode = (code: string) => (error: unknown) => error instanceof RefusalError && error.code === code;

describe('[P3] the durability of an append', function () {
  this.timeout(60_000);
  const closing = new Closing();
  const startRedis = (...args: Parameters<typeof TestRedis.start>) =>
    closing.started(TestRedis.start(...args));
  const open = async (url: string, more: { waitReplicas?: number; waitReplicasStrict?: boolean } = {}) => {
    const link = new RedisLink({ log: silentLog }, { url, commandTimeoutMs: 500, stallLimitMs: 1500 });
    const broker = new RedisBroker(
      { link, retentionOf: () => retention, log: silentLog, now: Date.now },
      { keyPrefix: 'rtc', outcomeLimitMs: 10_000, waitReplicas: 0, unusedKeepMs: 60_000, ...more },
    );
    closing.add(async () => {
      await broker.close();
      await link.close();
    });
    link.start();
    assert.ok(await link.whenUp(5000));
    return { link, broker };
  };
  const durabilityOf = async (broker: RedisBroker) => (await broker.append('t', [entry('a')]))[0]!.durability;
  afterEach(() => closing.close());

  it('is `fsynced` only while appendfsync is `always`, in that moment, or where Redis can be asked whether it is on disk', async () => {
    const redis = await startRedis('aof', ['--appendfsync', 'always']);
    const { broker } = await open(redis.url);
    const canBeAsked = (await redis.command('WAITAOF 0 0 0'))?.startsWith('-ERR unknown') === false;
    const otherwise = canBeAsked ? 'fsynced' : 'stored';
    assert.equal(await durabilityOf(broker), 'fsynced');
    await redis.command('CONFIG SET appendfsync everysec');
    assert.equal(await durabilityOf(broker), otherwise);
    await redis.command('CONFIG SET appendfsync always');
    assert.equal(await durabilityOf(broker), 'fsynced');
    await redis.command('CONFIG SET no-appendfsync-on-rewrite yes');
    assert.equal(await durabilityOf(broker), otherwise);
    await redis.command('CONFIG SET no-appendfsync-on-rewrite no');
    await redis.command('CONFIG SET appendonly no');
    assert.equal(await durabilityOf(broker), 'stored');
  });

  it('is no better than `stored` while Redis replicas that are to be waited for do not have the message', async () => {
    const redis = await startRedis('aof', ['--appendfsync', 'always', ...promptReplication]);
    const replica = await startRedis();
    const { broker } = await open(redis.url, { waitReplicas: 1 });
    assert.equal(await durabilityOf(broker), 'stored');
    await replica.command(`REPLICAOF 127.0.0.1 ${redis.port}`);
    await until(async () => (await durabilityOf(broker)) === 'fsynced', 'the replica follows', 20_000);
    await replica.signal('SIGSTOP');
    assert.equal(await durabilityOf(broker), 'stored');
  });

  it('is required where the settings say so: a message that too few replicas have is refused, and found by its key', async () => {
    const [redis, replica] = [await startRedis('none', promptReplication), await startRedis()];
    const { broker } = await open(redis.url, { waitReplicas: 1, waitReplicasStrict: true });
    await assert.rejects(broker.append('t', [entry('a', 'k')]), isCode('outcome_unknown'));
    await replica.command(`REPLICAOF 127.0.0.1 ${redis.port}`);
    let again: Awaited<ReturnType<typeof broker.append>> = [];
    await until(
      async () => {
        again = await broker.append('t', [entry('a', 'k')]).catch(() => []);
        return again.length > 0;
      },
      'the replica follows',
      20_000,
    );
    assert.deepEqual(
      again.map(({ sequence, duplicate, durability }) => [sequence, duplicate, durability]),
      [[1, true, 'replicated']],
    );
    assert.equal((await broker.read('t', 0, 10)).entries.length, 1);
  });

  it('is unknown, not refused, if another Redis answers than the one that had the message', async () => {
    const redis = await startRedis();
    const proxy = await closing.started(TcpProxy.start(redis.port));
    const { link, broker } = await open(proxy.url);
    await broker.append('t', [entry('a')]);
    await redis.signal('SIGSTOP');
    const underWay = broker.append('t', [entry('b')]);
    underWay.catch(() => {});
    await redis.signal('SIGKILL');
    await redis.run();
    await until(() => link.state === 'up', 'Redis is back, empty', 20_000);
    await assert.rejects(underWay, isCode('outcome_unknown'));
  });

  for (const [what, lose] of [
    ['all its data', ['FLUSHALL']],
    ['the metadata of the topic', ['DEL rtc:{t}:meta']],
  ] as const)
    for (const isReadMeanwhile of [false, true])
      it(`is unknown, not refused, if Redis has lost ${what} before its answer arrives${isReadMeanwhile ? ', and the topic has begun anew' : ''}`, async () => {
        const redis = await startRedis();
        const proxy = await closing.started(TcpProxy.start(redis.port));
        const { broker } = await open(proxy.url);
        const { broker: other } = await open(redis.url);
        await broker.append('t', [entry('a')]);
        proxy.mute();
        const underWay = broker.append('t', [entry('b', 'k')]);
        underWay.catch(() => {});
        await until(async () => (await redis.command('XLEN rtc:{t}:log')) === ':2', 'the message is stored');
        for (const command of lose) await redis.command(command);
        if (isReadMeanwhile) await other.read('t', 0, 1);
        proxy.cut();
        await assert.rejects(underWay, isCode('outcome_unknown'));
      });

  it('is refused if its command has not reached Redis, though the topic has begun a new epoch', async () => {
    const redis = await startRedis();
    const proxy = await closing.started(TcpProxy.start(redis.port));
    const { broker } = await open(proxy.url);
    const { broker: other } = await open(redis.url);
    await broker.append('t', [entry('a')]);
    proxy.hold('commands');
    const underWay = broker.append('t', [entry('b')]);
    underWay.catch(() => {});
    await redis.command('XTRIM rtc:{t}:log MAXLEN 0');
    await redis.command('DEL rtc:{t}:log');
    assert.notEqual((await other.append('t', [entry('c')]))[0]!.epoch, undefined);
    proxy.cut();
    await assert.rejects(underWay, isCode('unavailable'));
  });

  it('is not read from a configuration without the settings', () => {
    const settings = ['appendonly', 'yes', 'appendfsync', 'always', 'no-appendfsync-on-rewrite', 'no'];
    assert.equal(saysAlways(settings), true);
    assert.equal(saysAlways(settings.slice(0, 4)), false);
    assert.equal(saysAlways([]), false);
  });
});
