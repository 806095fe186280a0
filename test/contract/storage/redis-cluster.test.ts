import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLog } from '../../../server/logging/log.js';
import type { Batch, Broker } from '../../../server/log/broker.js';
import { hashSlot } from '../../../server/storage/redis/cluster/hash-slot.js';
import { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { Closing } from '../../support/closing.js';
import { clusterBrokers, openTestCluster } from '../../support/redis-brokers.js';
import { TestRedisCluster } from '../../support/redis-cluster.js';
import { TestRedis } from '../../support/redis.js';
import { until } from '../../support/wait.js';

const entry = (id: string) => ({ id, entry: Buffer.from(JSON.stringify({ id })) });

/** What a broker receives, by topic. */
function listen(broker: Broker): { batches: Map<string, Batch[]>; resyncs: () => number } {
  const batches = new Map<string, Batch[]>();
  let resyncs = 0;
  broker.setListener({
    onBatch: (batch) => batches.set(batch.topic, [...(batches.get(batch.topic) ?? []), batch]),
    onState: () => {},
    onResync: () => resyncs++,
  });
  return { batches, resyncs: () => resyncs };
}

/** Appends until it is stored; what was certainly not stored is sent again. */
async function appendAtLast(broker: Broker, topic: string, id: string): Promise<number> {
  for (;;) {
    try {
      const [receipt] = await broker.append(topic, [entry(id)]);
      return receipt!.sequence;
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'unavailable', String(error));
      await sleep(20);
    }
  }
}

describe('a Redis Cluster of three primaries with a replica each', function () {
  this.timeout(90_000);
  let cluster: TestRedisCluster;
  const closing = new Closing();
  const open = async () => {
    const fixture = await clusterBrokers(cluster);
    closing.add(() => fixture.close());
    return { broker: (await fixture.open())!, link: fixture.links[0]! };
  };

  before(async () => {
    cluster = await TestRedisCluster.start({ primaries: 3, replicas: 1 });
  });
  afterEach(() => closing.close());
  after(() => cluster.stop());

  it('has the slots that Redis computes, with and without hash tags', async () => {
    const names = [
      'a',
      'rtc:{t1}:log',
      '{}x',
      'a{}b{c}',
      '{a}{b}',
      'x}{y',
      'ü{ß}',
      '{',
      'rtc:{replicas}:bus',
    ];
    const redis = cluster.nodes[0]!;
    for (const name of names)
      assert.equal(await redis.command(`CLUSTER KEYSLOT ${name}`), `:${hashSlot(name)}`, name);
  });

  it('is refused by a plain address, and a plain Redis by the address of a cluster', async () => {
    const link = new RedisLink(
      { log: silentLog },
      { url: `redis://127.0.0.1:${cluster.nodes[0]!.port}`, commandTimeoutMs: 500, stallLimitMs: 3000 },
    );
    closing.add(() => link.close());
    link.start();
    await link.whenUp(30_000);
    assert.match(link.unsupported ?? '', /redis\+cluster:\/\//);

    const redis = await closing.started(TestRedis.start());
    const other = openTestCluster(`redis+cluster://127.0.0.1:${redis.port}`);
    closing.add(() => other.close());
    assert.equal(await other.whenUp(5000), false);
    assert.match(other.unsupported ?? '', /does not run in cluster mode/);
  });

  it('[P5.17] keeps order, and loses nothing, while slots move from shard to shard', async () => {
    const { broker } = await open();
    const { batches } = listen(broker);
    const moved = ['moved-1', 'moved-2', 'moved-3', 'moved-4'];
    for (const topic of moved) await broker.follow(topic);
    const epochs = (await broker.ends(moved)).map(({ epoch }) => epoch);
    let writing = true;
    const writers = moved.map(async (topic) => {
      let count = 0;
      while (writing) assert.equal(await appendAtLast(broker, topic, `${topic} ${count}`), ++count);
      return count;
    });
    for (const topic of moved) {
      const from = await cluster.primaryOf(topic);
      const to = (await cluster.primaries()).find((node) => node !== from)!;
      await sleep(50);
      await cluster.moveSlot(hashSlot(topic), from, to, () => sleep(50));
    }
    await sleep(200);
    writing = false;
    const counts = await Promise.all(writers);
    for (const [n, topic] of moved.entries()) {
      const { end, entries } = await broker.read(topic, 0, 100_000);
      assert.equal(end.sequence, counts[n]);
      assert.notEqual(end.epoch, epochs[n]);
      assert.equal(end.previous.at(-1)?.epoch, epochs[n]);
      assert.deepEqual(
        entries.map(({ entry: bytes }) => JSON.parse(bytes.toString()).id),
        Array.from({ length: counts[n]! }, (_, count) => `${topic} ${count}`).slice(-entries.length),
      );
      const last = await appendAtLast(broker, topic, 'last');
      await until(
        () =>
          batches.get(topic)!.some(({ firstSequence, entries: all }) => firstSequence + all.length > last),
        `${topic} is followed where it is now`,
      );
    }
  });

  it('serves a topic that begins in a slot which is being moved, when the move is over', async () => {
    const { broker } = await open();
    const topic = 'begins in a move';
    const from = await cluster.primaryOf(topic);
    const to = (await cluster.primaries()).find((node) => node !== from)!;
    let appended: Promise<number> | undefined;
    await cluster.moveSlot(hashSlot(topic), from, to, async () => {
      appended = appendAtLast(broker, topic, 'first');
      await sleep(100);
    });
    assert.equal(await appended, 1);
  });

  it('[P5.16] notices what a shard has lost in a failover, and leaves the topics of other shards alone', async () => {
    const { broker } = await open();
    const { resyncs } = listen(broker);
    const topics = Array.from({ length: 60 }, (_, n) => `topic-${n}`);
    for (const topic of topics) await broker.follow(topic);
    for (const topic of topics) await appendAtLast(broker, topic, 'kept');
    const primary = await cluster.primaryOf(topics[0]!);
    const replica = await replicaOf(primary);
    await until(() => replica.hasAllOf(primary), 'the replica has all');
    await replica.command('CONFIG SET masteruser nobody masterauth wrong');
    await primary.command('CLIENT KILL TYPE replica');
    await until(async () => (await replica.replication('master_link_status')) === 'down', 'it is cut off');
    const before = new Map<string, string>();
    for (const topic of topics) {
      await appendAtLast(broker, topic, 'perhaps lost');
      before.set(topic, (await broker.ends([topic]))[0]!.epoch);
    }
    const owners = new Map<string, TestRedis>();
    for (const topic of topics) owners.set(topic, await cluster.primaryOf(topic));
    const seen = resyncs();
    await primary.signal('SIGKILL');
    await until(
      async () => (await replica.replication('role')) === 'master',
      'the replica is promoted',
      30_000,
    );
    await replica.command('CONFIG SET masteruser "" masterauth ""');
    await until(() => resyncs() > seen, 'the subscriptions are live again', 30_000);
    for (const topic of topics) {
      const sequence = await appendAtLast(broker, topic, 'after');
      const [end] = await broker.ends([topic]);
      if (owners.get(topic) === primary) {
        assert.equal(sequence, 2, `${topic} has lost its second message`);
        assert.notEqual(end!.epoch, before.get(topic), `${topic} goes on under a new epoch`);
        assert.deepEqual(end!.previous[0], { epoch: before.get(topic), sequence: 1 });
      } else {
        assert.equal(sequence, 3);
        assert.equal(end!.epoch, before.get(topic), `${topic} keeps its epoch`);
      }
    }
    await primary.run();
  });

  async function replicaOf(primary: TestRedis): Promise<TestRedis> {
    for (const node of cluster.nodes)
      if (
        (await node.replication('role')) === 'slave' &&
        (await node.replication('master_port')) === String(primary.port)
      )
        return node;
    throw new Error('it has no replica');
  }
});
