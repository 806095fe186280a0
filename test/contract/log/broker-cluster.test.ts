import { clusterBrokers } from '../../support/redis-brokers.js';
import { TestRedisCluster } from '../../support/redis-cluster.js';
import { brokerContract } from './broker-contract.js';

describe('with a Redis Cluster of three primaries', function () {
  this.timeout(60_000);
  let cluster: TestRedisCluster;
  before(async () => {
    cluster = await TestRedisCluster.start();
  });
  after(() => cluster.stop());

  brokerContract('RedisBroker', async () => {
    await cluster.flush();
    return clusterBrokers(cluster);
  });
});
