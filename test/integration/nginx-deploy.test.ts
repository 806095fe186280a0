import assert from 'node:assert/strict';
import { DeployedClient, problemsOf, type DeployedWire } from '../../bench/reload/deployed-client.js';
import { SteadyPublisher } from '../support/clients.js';
import { Closing } from '../support/closing.js';
import { sequencesAfter, sequencesOf } from '../support/deploy-outcome.js';
import { RoundRobinNginx } from '../support/nginx.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

describe('[P8] two replicas behind nginx without sticky sessions, replaced one after the other', function () {
  this.timeout(90_000);
  const closing = new Closing();
  afterEach(() => closing.close());

  it('lose and double nothing, and keep the order, for clients of long-polling, WebSocket and /ws', async () => {
    const redis = await TestRedis.start();
    closing.add(() => redis.stop());
    const replicas: TestReplica[] = [];
    for (const id of ['a', 'b']) {
      const replica = await TestReplica.start({
        REDIS_URL: redis.url,
        REPLICA_ID: id,
        RTC_SERVER_DRAIN_WINDOW_SECS: '3',
      });
      replicas.push(replica);
      closing.add(() => replica.end('SIGKILL'));
    }
    const nginx = await RoundRobinNginx.start(replicas.map(({ port }) => port));
    closing.add(async () => nginx.stop());
    const wires: DeployedWire[] = ['polling', 'websocket', 'polling', 'json'];
    const clients = Array.from(
      { length: 32 },
      (_, n) => new DeployedClient(nginx.url, n, wires[n % 4]!, 'news', tokenOf(`user-${n}`), n % 5 !== 0),
    );
    closing.add(async () => {
      for (const client of clients) client.stop();
    });
    await until(() => clients.every(({ isReady }) => isReady), 'all are subscribed', 20_000);
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
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    });
    for (const replica of replicas) {
      assert.equal(await replica.end('SIGTERM'), 0, replica.output);
      await until(() => clients.every(({ isReady }) => isReady), 'all are back', 30_000);
      await replica.run();
    }
    await until(() => clients.every(({ isReady }) => isReady), 'all are back', 30_000);
    isOver = true;
    await Promise.all(publishing);
    const all = await sequencesAfter(clients, publishers);
    for (const [n, client] of clients.entries()) {
      const name = `client ${n}, ${client.wire}`;
      assert.deepEqual(problemsOf(client), [], name);
      // Each is moved twice at most: the end of a replica that is not its own, it does not notice.
      const ends = client.wire === 'polling' ? client.endReasons : [];
      assert.ok(ends.length <= 3, `${name}: ${ends.join(', ')}`);
      if (!client.givesPositions) continue;
      // It subscribed before anything was published.
      assert.deepEqual(sequencesOf(client), all, name);
      assert.ok(
        client.recovered.slice(1).every((recovered) => recovered === true),
        `${name}: ${client.recovered.join()}`,
      );
    }
  });
});
