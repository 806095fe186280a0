import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MainProcess } from '../support/main-process.js';
import { TestRedisCluster } from '../support/redis-cluster.js';
import { TestRedis } from '../support/redis.js';
import { secret, tokenOf } from '../support/replica.js';
import { root } from '../support/root.js';
import { freePort, until } from '../support/wait.js';

const main = join(root, 'dist', 'server', 'main.js');

describe('[LOG] operators are told', function () {
  this.timeout(60_000);
  const closers: (() => unknown)[] = [];
  const start = async (environment: NodeJS.ProcessEnv) => {
    const process = await MainProcess.start(environment);
    closers.unshift(() => process.kill());
    return process;
  };
  const directory = mkdtempSync(join(tmpdir(), 'rtc-told-'));

  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  const healthOf = async ({ url }: MainProcess) =>
    (await (await fetch(`${url}/health`)).json()) as { status: string; problems: string[] };
  /** Kind and replica of each alert, newest first. */
  const alertsOf = async ({ url }: MainProcess) => {
    const headers = { authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}` };
    const answer = await fetch(`${url}/admin/alerts`, { headers });
    const { alerts } = (await answer.json()) as { alerts: { kind: string; replica_id: string }[] };
    return alerts
      .filter(({ kind }) => !['redis_down', 'redis_back'].includes(kind))
      .map(({ kind, replica_id }) => `${kind} ${replica_id}`);
  };
  const errors = (process: MainProcess) =>
    process.output
      .split('\n')
      .filter((line) => line.includes('"level":"ERROR"'))
      .map((line) => JSON.parse(line) as { message: string; remedy?: string });

  it('once that Redis is not reached, and when it is back', async () => {
    const redis = await TestRedis.start();
    closers.unshift(() => redis.stop());
    await redis.signal('SIGKILL');
    const replica = await start({ REDIS_URL: redis.url });
    await replica.hasLogged('Listening');
    await replica.hasLogged('Redis is not reached');
    const { status, problems } = await healthOf(replica);
    assert.equal(status, 'degraded');
    assert.match(problems[0]!, /^Redis is not reached: publishes .* are refused with unavailable$/);
    const [told, ...others] = errors(replica);
    assert.equal(told?.message, 'Redis is not reached');
    assert.match(told.remedy!, /REDIS_URL/);
    assert.deepEqual(others, []);
    await redis.run();
    await replica.hasLogged('Redis is back');
    // What operators have switched off is read now, for the first time.
    await until(async () => (await healthOf(replica)).problems.length === 0, 'nothing is wrong any more');
    await redis.signal('SIGKILL');
    await replica.hasLogged('Redis is lost');
    await replica.hasLogged('Alert');
    const [alert] = replica.logged('Alert');
    assert.deepEqual(
      [alert!['severity'], alert!['kind'], alert!['outage']],
      ['critical', 'redis_down', 'unreachable'],
    );
  });

  it('that Redis wants a password, or another one, with the remedy', async () => {
    const redis = await TestRedis.start('none', []);
    closers.unshift(() => redis.stop());
    await redis.command('CONFIG SET requirepass pw');
    for (const url of [redis.url, redis.url.replace('//', '//:wrong@')]) {
      const replica = await start({ REDIS_URL: url });
      await replica.hasLogged('Redis refuses the user or the password');
      await replica.hasLogged('Listening');
      assert.deepEqual(
        errors(replica).map(({ message }) => message),
        ['Redis refuses the user or the password'],
        JSON.stringify(errors(replica)),
      );
      assert.match((await healthOf(replica)).problems[0]!, /password/);
      assert.ok(!replica.output.includes('wrong@'));
    }
  });

  it('once that Redis has come back with less, with an alert that all replicas list', async () => {
    const redis = await TestRedis.start();
    closers.unshift(() => redis.stop());
    const replica = await start({ REDIS_URL: redis.url, REPLICA_ID: 'a' });
    await replica.hasLogged('Listening');
    const beats = async () => Number((await redis.command('INCRBY rtc:replicas:beats 0'))?.slice(1));
    await until(async () => (await beats()) > 0, 'it has a heartbeat');
    await redis.signal('SIGKILL');
    await redis.run();
    const message = 'Redis has come back with less than it had';
    await replica.hasLogged(message);
    const [told, ...others] = replica.logged(message);
    assert.deepEqual([told!['level'], told!['is_empty'], others], ['ERROR', true, []]);
    assert.match(String(told!['remedy']), /appendonly yes.*redis\.wait_replicas/);
    const other = await start({ REDIS_URL: redis.url, REPLICA_ID: 'b' });
    await other.hasLogged('Listening');
    await until(
      async () => (await alertsOf(other)).includes('redis_lost_data a'),
      'the alert is stored',
      20_000,
    );
    assert.deepEqual(other.logged(message), []);
  });

  it('once for each shard of a Redis Cluster that has come back with less, and which node it is', async () => {
    const cluster = await TestRedisCluster.start();
    closers.unshift(() => cluster.stop());
    const replica = await start({ REDIS_URL: cluster.url, REPLICA_ID: 'a' });
    await replica.hasLogged('Listening');
    const shards = await cluster.primaries();
    const ofRegistry = await cluster.primaryOf('rtc:{replicas}:replicas:beats');
    const others = shards.filter((shard) => shard !== ofRegistry);
    const message = 'Redis has come back with less than it had';
    const told = () => replica.logged(message).map(({ level, node, is_empty }) => [level, node, is_empty]);
    const expected: unknown[] = [];
    for (const shard of [others[0]!, ofRegistry]) {
      for (const each of shards)
        await until(async () => (await each.command('DBSIZE')) !== ':0', 'each shard counts heartbeats');
      // Nothing is on disk, so it comes back without anything.
      await shard.signal('SIGKILL');
      await shard.run();
      expected.push(['ERROR', `127.0.0.1:${shard.port}`, true]);
      await until(() => told().length === expected.length, 'the loss is told', 30_000);
      assert.deepEqual(told(), expected);
    }
    const lost = 'redis_lost_data a';
    await until(
      async () => (await alertsOf(replica)).filter((alert) => alert === lost).length === 2,
      'both alerts are listed',
      20_000,
    );
    assert.deepEqual(told(), expected);
  });

  it('which settings differ between replicas, with one alert, and when they do not any more', async () => {
    const redis = await TestRedis.start();
    closers.unshift(() => redis.stop());
    const replicas = [
      await start({ REDIS_URL: redis.url, REPLICA_ID: 'a' }),
      await start({ REDIS_URL: redis.url, REPLICA_ID: 'b', RTC_TOPICS_HISTORY_SIZE: '50' }),
    ];
    for (const replica of replicas) await replica.hasLogged('Replicas differ');
    const [a, b] = replicas.map((replica) => replica.logged('Replicas differ'));
    assert.deepEqual(
      [a!.length, b!.length, a![0]!['differences'], b![0]!['differences']],
      [1, 1, ['topics.history_size: 10000 here, 50 on b'], ['topics.history_size: 50 here, 10000 on a']],
    );
    await until(async () => (await alertsOf(replicas[0]!)).length > 0, 'the alert is stored');
    replicas[1]!.signal('SIGTERM');
    await replicas[1]!.ended();
    await until(async () => (await alertsOf(replicas[0]!)).length > 1, 'the other alert is stored', 20_000);
    assert.deepEqual(await alertsOf(replicas[0]!), ['replicas_agree a', 'replicas_differ a']);
  });

  it('that Redis keeps nothing on disk, where it keeps nothing', async () => {
    const message =
      'Redis keeps nothing on disk: when it restarts, messages, sessions and revocations are lost';
    const found: unknown[] = [];
    for (const persistence of ['none', 'aof'] as const) {
      const redis = await TestRedis.start(persistence);
      closers.unshift(() => redis.stop());
      const replica = await start({ REDIS_URL: redis.url });
      if (persistence === 'none') await replica.hasLogged(message);
      else {
        await replica.hasLogged('Listening');
        await until(
          async () => Number((await redis.command('INCRBY rtc:replicas:beats 0'))?.slice(1)) > 0,
          'it is up',
        );
      }
      found.push(...replica.logged(message).map(({ remedy }) => remedy));
    }
    assert.deepEqual(found, ['set appendonly yes in the configuration of Redis']);
  });

  it('which origin was refused', async () => {
    const replica = await start({ RTC_WEBSOCKET_ALLOWED_ORIGINS: 'https://app.example' });
    await replica.hasLogged('Listening');
    const origin = 'https://other.example';
    const url = `${replica.url}/socket.io/?EIO=4&transport=polling`;
    assert.equal((await fetch(url, { headers: { origin } })).status, 403);
    await until(() => replica.output.includes(origin), 'the log has the origin');
  });

  describe('by a process manager', () => {
    let child: ChildProcess | undefined;
    afterEach(() => child?.kill('SIGKILL'));

    it('that several processes on one port need Redis: the second one does not start', async () => {
      const program = join(directory, 'cluster.cjs');
      writeFileSync(
        program,
        `const cluster = require('node:cluster');
        cluster.setupPrimary({ exec: ${JSON.stringify(main)} });
        cluster.fork(); cluster.fork();
        cluster.on('exit', (worker, code) => console.log('exit ' + code));
        process.on('disconnect', () => { for (const { process } of Object.values(cluster.workers)) process.kill('SIGKILL'); process.exit(0); });`,
      );
      let output = '';
      child = spawn(process.execPath, [program], {
        env: {
          PATH: process.env['PATH'],
          HOST: '127.0.0.1',
          PORT: String(await freePort()),
          JWT_SECRET: secret,
        },
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      });
      for (const stream of [child.stdout!, child.stderr!])
        stream.on('data', (data: Buffer) => (output += data.toString()));
      try {
        await until(
          () => output.includes('exit 2') && output.includes('Listening'),
          `one runs: ${output}`,
          30_000,
        );
        assert.match(output, /^redis\.url: is needed where several processes share port \d+.*Set REDIS_URL/m);
        assert.equal(output.match(/"Listening"/g)?.length, 1);
      } finally {
        child.disconnect();
      }
    });

    it('through the function that PM2 puts in the place of process.stdout.write', async () => {
      const file = join(directory, 'pm2.log');
      const preload = join(directory, 'pm2.cjs');
      writeFileSync(
        preload,
        `const { createWriteStream } = require('node:fs');
        const out = createWriteStream(${JSON.stringify(file)});
        process.stdout.write = (text, encoding, done) => out.write(text, encoding, done);`,
      );
      writeFileSync(file, '');
      child = spawn(process.execPath, ['--require', preload, main], {
        env: { PATH: process.env['PATH'], HOST: '127.0.0.1', PORT: '0', JWT_SECRET: secret },
        stdio: 'ignore',
      });
      await until(() => readFileSync(file, 'utf8').includes('"Listening"'), 'the line is there', 30_000);
    });
  });
});
