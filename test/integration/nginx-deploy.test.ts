import assert from 'node:assert/strict';
import { problemsOf } from '../../bench/reload/deployed-client.js';
import { Closing } from '../support/closing.js';
import { DeployedCrowd } from '../support/deployed-crowd.js';
import { sequencesAfter, sequencesOf } from '../support/deploy-outcome.js';
import { RoundRobinNginx } from '../support/nginx.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica } from '../support/replica.js';

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
    const crowd = await DeployedCrowd.start(
      nginx.url,
      { clients: 32, wires: ['polling', 'websocket', 'polling', 'json'], publishers: 2 },
      closing,
    );
    const { clients, publishers } = crowd;
    for (const replica of replicas) {
      assert.equal(await replica.end('SIGTERM'), 0, replica.output);
      await crowd.isBack(30_000);
      await replica.run();
    }
    await crowd.finish(30_000);
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
