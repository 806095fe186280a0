import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sentinels } from '../../bench/chaos/processes/sentinels.js';
import { problemsOf } from '../../bench/reload/deployed-client.js';
import { Closing } from '../support/closing.js';
import { DeployedCrowd } from '../support/deployed-crowd.js';
import { sequencesAfter, sequencesOf } from '../support/deploy-outcome.js';
import { MainProcess } from '../support/main-process.js';
import { RoundRobinNginx } from '../support/nginx.js';
import { TestRedis } from '../support/redis.js';
import { until } from '../support/wait.js';

describe('[P8] a drain that something else goes wrong in', function () {
  this.timeout(120_000);
  const closing = new Closing();
  afterEach(() => closing.close());

  /** Two replicas behind nginx, clients of all wires, and two publishers that go on until `finish`. */
  async function deployment(redisUrl: string) {
    const replicas: MainProcess[] = [];
    for (const id of ['a', 'b']) {
      const replica = await MainProcess.start({
        REDIS_URL: redisUrl,
        REPLICA_ID: id,
        RTC_SERVER_DRAIN_WINDOW_SECS: '4',
      });
      closing.add(() => replica.kill());
      await replica.hasLogged('Listening');
      replicas.push(replica);
    }
    const nginx = await RoundRobinNginx.start(replicas.map(({ port }) => port));
    closing.add(async () => nginx.stop());
    const crowd = await DeployedCrowd.start(
      nginx.url,
      { clients: 16, wires: ['polling', 'websocket', 'polling', 'json'], publishers: 2 },
      closing,
    );
    const { clients, publishers } = crowd;
    const finish = async () => {
      await crowd.finish();
      for (const [n, client] of clients.entries())
        assert.deepEqual(problemsOf(client), [], `client ${n}, ${client.wire}`);
    };
    return { a: replicas[0]!, clients, publishers, finish };
  }

  it('loses and doubles nothing when the replica is killed in the middle of it', async () => {
    const redis = await TestRedis.start();
    closing.add(() => redis.stop());
    const { a, clients, publishers, finish } = await deployment(redis.url);
    a.signal('SIGTERM');
    await sleep(2000);
    assert.ok(!a.hasEnded);
    a.signal('SIGKILL');
    await finish();
    // The others begin anew, and one that polls may notice the end after the last message.
    const returning = clients.filter(({ givesPositions }) => givesPositions);
    const all = await sequencesAfter(returning, publishers);
    for (const [n, client] of returning.entries()) {
      assert.deepEqual(sequencesOf(client), all, `client ${n}, ${client.wire}`);
      assert.ok(!client.recovered.includes(false), `client ${n}, ${client.wire}: ${client.recovered.join()}`);
    }
  });

  it('ends in time and with 0 while Sentinel replaces the Redis, and everybody goes on in the epoch of the new one', async () => {
    const primary = await TestRedis.start('none');
    closing.add(() => primary.stop());
    const follower = await TestRedis.start('none', ['--replicaof', `127.0.0.1 ${primary.port}`]);
    closing.add(() => follower.stop());
    await until(
      async () => (await follower.info('replication')).get('master_link_status') === 'up',
      'the replica of Redis follows',
      20_000,
    );
    const sentinels = await Sentinels.start(primary.port);
    closing.add(() => sentinels.stop());
    const { a, clients, publishers, finish } = await deployment(sentinels.url);
    a.signal('SIGTERM');
    await sleep(1000);
    await primary.signal('SIGKILL');
    assert.equal(await a.ended(30_000), 0, a.output);
    await finish();
    const newest = publishers.map((publisher) => publisher.acknowledged.at(-1)!.answer);
    const last = newest.reduce((one, other) => (other.sequence! > one.sequence! ? other : one));
    await until(
      () =>
        clients.every(({ messages }) => {
          const message = messages.at(-1)!;
          return message.epoch === last.epoch && message.sequence === last.sequence;
        }),
      'all have the last message',
      20_000,
    );
    assert.notEqual(last.epoch, clients[0]!.messages[0]!.epoch);
  });
});
