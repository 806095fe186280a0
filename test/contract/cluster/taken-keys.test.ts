import assert from 'node:assert/strict';
import { ReplicatedMap } from '../../../server/cluster/replicated-map.js';
import { silentLog } from '../../../server/logging/log.js';
import { MemoryBus } from '../../../server/storage/memory/memory-bus.js';
import { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { RedisReplicaRegistry } from '../../../server/storage/redis/redis-replica-registry.js';
import { RedisSharedStore } from '../../../server/storage/redis/redis-shared-store.js';
import { TestRedis } from '../../support/redis.js';
import { until } from '../../support/wait.js';

describe('[STORE] a key that another program has written', () => {
  let redis: TestRedis;
  let link: RedisLink;

  before(async () => {
    redis = await TestRedis.start();
    link = new RedisLink({ log: silentLog }, { url: redis.url, commandTimeoutMs: 1000, stallLimitMs: 5000 });
    link.start();
    assert.ok(await link.whenUp(5000));
  });
  after(async () => {
    await link.close();
    await redis.stop();
  });

  const remedy = 'another program has written one of these keys: remove that one';
  let logged: { keys?: readonly string[]; remedy?: string }[];
  const log = { ...silentLog, error: (_: string, fields: object = {}) => void logged.push(fields) };

  beforeEach(() => (logged = []));

  it('is named once in the log, with the reason, and read when it can be', async () => {
    const store = new RedisSharedStore({ link, log }, { keyPrefix: 'rtc', answerLimitMs: 2000 });
    await link.call(['SET', 'rtc:control', 'by another program']);
    const map = new ReplicatedMap({ store, bus: new MemoryBus('a'), log }, { name: 'control', checkMs: 20 });
    await map.read();
    for (const work of [store.readFields('control'), store.writeFields('control', { mode: 'x' })])
      await assert.rejects(work, /Redis has refused it: WRONGTYPE/);
    assert.equal(map.isKnown, false);
    assert.deepEqual(
      logged.map((line) => [line.keys, line.remedy]),
      [[['rtc:control'], remedy]],
    );
    await link.call(['DEL', 'rtc:control']);
    await until(() => map.isKnown, 'the map is read');
    map.close();
  });

  for (const name of ['replicas', 'replicas:leases', 'replicas:records'])
    it(`keeps a replica out of the cluster, and is named in the log: ${name}`, async () => {
      await link.call(['SET', `rtc:${name}`, 'by another program']);
      const identity = { id: 'a', name: 'a', version: '0', settings: {} };
      const registry = new RedisReplicaRegistry({ link, log }, { keyPrefix: 'rtc', identity });
      for (let n = 0; n < 3; n++) assert.equal(await registry.beat(), false);
      assert.deepEqual(
        logged.map((line) => [line.keys?.includes(`rtc:${name}`), line.remedy]),
        [[true, remedy]],
      );
      await link.call(['DEL', `rtc:${name}`]);
      assert.equal(await registry.beat(), true);
      await registry.close();
    });
});
