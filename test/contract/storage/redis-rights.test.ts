import assert from 'node:assert/strict';
import { aclLine, clusterCommands, redisCommands } from '../../../server/storage/redis/redis-acl.js';
import { destroy, newRedisClient } from '../../../server/storage/redis/redis-client.js';
import { lackingRights } from '../../../server/storage/redis/redis-rights.js';
import { TestRedisCluster } from '../../support/redis-cluster.js';
import { TestRedis } from '../../support/redis.js';

const user = { username: 'tried', password: 'pw' };
/** What `rtc redis acl` prints. */
const line = (isCluster = false) =>
  aclLine({ ...user, keyPrefix: 'rtc', channelMark: '', namespaces: ['/'], redisVersion: '7.0', isCluster });
/** A link that lacks one of these does not come up, or the adapter or the advice says it. */
const shownElsewhere = ['config|get', 'psubscribe', 'select', 'subscribe'];
const shownByClusters = ['cluster|nodes', 'ssubscribe'];

/** The rights that a user is found to lack, to whom `taken` is done after it got those that are printed. */
async function lackingAfter(redis: TestRedis, taken: string, isCluster = false): Promise<string[]> {
  assert.equal(await redis.command(line(isCluster)), '+OK');
  if (taken !== '') assert.equal(await redis.command(`ACL SETUSER ${user.username} ${taken}`), '+OK');
  const client = newRedisClient({ host: '127.0.0.1', port: redis.port }, user);
  client.on('error', () => {});
  try {
    await client.connect();
    return await lackingRights((args) => client.sendCommand(args), { keyPrefix: 'rtc', isCluster });
  } finally {
    destroy(client);
  }
}

describe('the trial of the rights of the user of Redis', function () {
  this.timeout(120_000);
  let redis: TestRedis;
  before(async () => (redis = await TestRedis.start()));
  after(() => redis.stop());

  it('finds nothing missing where the user has what rtc redis acl prints, and leaves nothing behind', async () => {
    assert.deepEqual(await lackingAfter(redis, ''), []);
    assert.deepEqual(await lackingAfter(redis, '+@all ~* &*'), []);
    assert.equal(await redis.command('DBSIZE'), ':0');
  });

  for (const right of redisCommands.filter((name) => !shownElsewhere.includes(name)))
    it(`names ${right}, and nothing else, where the user lacks it`, async () => {
      assert.deepEqual(await lackingAfter(redis, `-${right}`), [right]);
      assert.equal(await redis.command('DBSIZE'), ':0');
    });

  it('names keys and channels by their pattern, once', async () => {
    assert.deepEqual(await lackingAfter(redis, 'resetkeys ~other:*'), ['keys rtc:*']);
    assert.deepEqual(await lackingAfter(redis, 'resetchannels &rtc:bus*'), ['channels rtc:*']);
  });

  it('names what a node of a Redis Cluster refuses, whether or not it has the slot', async () => {
    const cluster = await TestRedisCluster.start();
    try {
      for (const node of cluster.nodes) {
        assert.deepEqual(await lackingAfter(node, '', true), []);
        for (const right of clusterCommands.filter((name) => !shownByClusters.includes(name)))
          assert.deepEqual(await lackingAfter(node, `-${right}`, true), [right]);
        assert.deepEqual(await lackingAfter(node, '-sadd -publish', true), ['publish', 'sadd']);
        assert.equal(await node.command('DBSIZE'), ':0');
      }
    } finally {
      await cluster.stop();
    }
  });
});
