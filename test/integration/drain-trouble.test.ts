import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sentinels } from '../../bench/chaos/processes/sentinels.js';
import { DeployedClient, problemsOf, type DeployedWire } from '../../bench/reload/deployed-client.js';
import { SteadyPublisher } from '../support/clients.js';
import { Closing } from '../support/closing.js';
import { sequencesAfter, sequencesOf } from '../support/deploy-outcome.js';
import { MainProcess } from '../support/main-process.js';
import { RoundRobinNginx } from '../support/nginx.js';
import { TestRedis } from '../support/redis.js';
import { tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

const wires: DeployedWire[] = ['polling', 'websocket', 'polling', 'json'];

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
    const clients = Array.from(
      { length: 16 },
      (_, n) => new DeployedClient(nginx.url, n, wires[n % 4]!, 'news', tokenOf(`user-${n}`), n % 5 !== 0),
    );
    closing.add(async () => {
      for (const client of clients) client.stop();
    });
    const areBack = () => until(() => clients.every(({ isReady }) => isReady), 'all are subscribed', 40_000);
    await areBack();
    const publishers = ['ann', 'ben'].map((user) => new SteadyPublisher([nginx.url], user, 'news'));
    closing.add(async () => {
      for (const publisher of publishers) publisher.close();
    });
    let isOver = false;
    const publishing = publishers.map(async (publisher) => {
      for (let n = 1, isLast = false; !isLast; n++) {
        // Once more after everybody is back: a client without positions begins anew, and misses what was before.
        isLast = isOver;
        await publisher.publish(n, n);
        await sleep(25);
      }
    });
    const finish = async () => {
      await areBack();
      isOver = true;
      await Promise.all(publishing);
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
