import assert from 'node:assert/strict';
import { silentLog, type Log } from '../../../server/logging/log.js';
import { adviceFor, RedisAdvice } from '../../../server/storage/redis/redis-advice.js';
import { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { TestRedis } from '../../support/redis.js';
import { until } from '../../support/wait.js';

describe('the advice about a Redis', function () {
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  const startRedis = async (...more: string[]) => {
    const redis = await TestRedis.start('none', more);
    closing.push(() => redis.stop());
    return redis;
  };
  /** The warnings of a replica that uses this Redis. */
  const warningsOf = (redis: TestRedis, url = redis.url) => {
    const warnings: string[] = [];
    const log: Log = {
      ...silentLog,
      warn: (message, fields) => void warnings.push(`${message}: ${String(fields?.['remedy'])}`),
    };
    const link = new RedisLink({ log: silentLog }, { url, commandTimeoutMs: 1000, stallLimitMs: 5000 });
    new RedisAdvice({ link, log }, { keyPrefix: 'rtc' });
    closing.push(() => link.close());
    link.start();
    return { link, warnings };
  };
  const keepsData = ['--save', '900 1'];

  it('names nothing that keeps its data and has the usual limits', async () => {
    const { link, warnings } = warningsOf(await startRedis(...keepsData));
    assert.equal(await link.whenUp(30_000), true);
    // The advice has asked before this does.
    await link.call(['PING']);
    for (let n = 0; n < 10; n++) await link.call(['PING']);
    assert.deepEqual(warnings, []);
  });

  it('names what loses data, once for each process', async () => {
    const redis = await startRedis();
    const { link, warnings } = warningsOf(redis);
    await until(() => warnings.length === 1, 'the warning');
    assert.match(warnings[0]!, /keeps nothing on disk.*: set appendonly yes/);
    await redis.command('CLIENT KILL TYPE normal');
    await until(() => link.counts.reconnects > 1 && link.state === 'up', 'the same process again');
    await redis.signal('SIGKILL');
    await redis.run();
    await until(() => warnings.length === 2, 'another process');
    assert.equal(warnings[1], warnings[0]);
  });

  it('names replicas of Redis that a cut off primary does not wait for', async () => {
    const primary = await startRedis(...keepsData, '--repl-diskless-sync-delay', '0');
    const replica = await startRedis(...keepsData);
    await replica.command(`REPLICAOF 127.0.0.1 ${primary.port}`);
    await until(
      async () => (await primary.info('replication')).get('connected_slaves') === '1',
      'it is connected',
      20_000,
    );
    const { warnings } = warningsOf(primary);
    await until(() => warnings.length === 1, 'the warning');
    assert.match(warnings[0]!, /Redis has replicas.*min-replicas-to-write 1/);
  });

  it('names limits that close subscriptions early', async () => {
    const { warnings } = warningsOf(
      await startRedis(...keepsData, '--client-output-buffer-limit', 'pubsub 1mb 0 0'),
    );
    await until(() => warnings.length === 1, 'the warning');
    assert.match(warnings[0]!, /few unread bytes.*client-output-buffer-limit pubsub 32mb 8mb 60/);
  });

  it('names rights that the user lacks and that nothing else shows, once, and takes no refusal for one of a write', async () => {
    const redis = await startRedis(...keepsData);
    await redis.command('ACL SETUSER mute on >pw ~rtc:* &rtc:* +@all -publish -zrem');
    const { link, warnings } = warningsOf(redis, `redis://mute:pw@127.0.0.1:${redis.port}`);
    await until(() => warnings.length > 0, 'the warning');
    const expected =
      'The user of Redis lacks rights that the service needs: zrem, publish: give the user the rights that rtc redis acl prints';
    assert.deepEqual(warnings, [expected]);
    assert.equal(link.writes.state.refused_writes, 0);
    await redis.command('CLIENT KILL TYPE normal');
    await until(() => link.counts.reconnects > 1 && link.state === 'up', 'the same process again');
    for (let n = 0; n < 10; n++) await link.call(['PING']);
    assert.deepEqual(warnings, [expected]);
  });

  it('names a version that is too old, and judges nothing that Redis does not show', () => {
    const problems = (info: string) => adviceFor(info, new Map()).map(({ problem }) => problem);
    assert.match(problems('redis_version:6.0.16\r\nconnected_slaves:2')[0]!, /^Redis 6\.0\.16 is too old/);
    for (const version of ['6.2.0', '7.0.15', '8.0.1', '10.0.0'])
      assert.deepEqual(problems(`redis_version:${version}`), []);
    assert.deepEqual(problems(''), []);
  });

  it('takes no limit for no limit', () => {
    const of = (value: string) => adviceFor('', new Map([['client-output-buffer-limit', value]])).length;
    assert.equal(of('normal 0 0 0 slave 1 1 1 pubsub 0 0 0'), 0);
    assert.equal(of('normal 0 0 0 slave 1 1 1 pubsub 33554432 8388608 60'), 0);
    assert.equal(of('pubsub 33554432 8388608 10'), 1);
    assert.equal(of('pubsub 0 1024 60'), 1);
  });
});
