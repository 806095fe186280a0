import assert from 'node:assert/strict';
import type { Broker } from '../../../server/log/broker.js';
import { isPositionIn } from '../../../server/log/lineage.js';
import type { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { redisBrokers } from '../../support/redis-brokers.js';
import { promptReplication, TestRedis } from '../../support/redis.js';
import { until } from '../../support/wait.js';
import { entry } from '../log/broker-contract.js';

describe('[P5] the history of writes that a Redis continues', function () {
  this.timeout(60_000);
  const servers: TestRedis[] = [];
  const fixtures: Awaited<ReturnType<typeof redisBrokers>>[] = [];
  let redis: TestRedis;
  let broker: Broker;
  let link: RedisLink;

  const startRedis = async () => {
    const server = await TestRedis.start('none', promptReplication);
    servers.push(server);
    return server;
  };
  const brokersOn = async (server: TestRedis) => {
    const fixture = await redisBrokers(server);
    fixtures.push(fixture);
    return fixture;
  };
  const append = async (topic: string, ...texts: string[]) =>
    (
      await broker.append(
        topic,
        texts.map((text) => entry(text)),
      )
    ).at(-1)!;
  const endOf = async (topic: string, of = broker) => (await of.ends([topic]))[0]!;
  /** The link has seen the present state of Redis. */
  const noticed = (id: () => Promise<string | undefined>) =>
    until(
      async () => link.state === 'up' && link.redis?.histories[0] === (await id()),
      'the link knows the history',
      20_000,
    );

  beforeEach(async () => {
    redis = await startRedis();
    const fixture = await brokersOn(redis);
    broker = (await fixture.open())!;
    link = fixture.links[0]!;
  });
  afterEach(async () => {
    await Promise.all(fixtures.splice(0).map((fixture) => fixture.close()));
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });

  it('ends with a master that was demoted and promoted again, whose run_id stays the same', async () => {
    const other = await startRedis();
    await other.replicate(redis);
    const kept = await append('t', 'a', 'b', 'c');
    await until(() => other.hasAllOf(redis), 'the replica has the messages');
    await other.promote();
    const lost = await append('t', 'lost 1', 'lost 2', 'lost 3');
    await append('only on the old side', 'lost');
    const { runId } = link.redis!;
    await redis.replicate(other);
    await redis.promote();
    await noticed(() => redis.replication('master_replid'));
    assert.equal(link.redis!.runId, runId);

    const end = await endOf('t');
    assert.notEqual(end.epoch, kept.epoch);
    assert.deepEqual([end.sequence, end.previous], [3, [{ epoch: kept.epoch, sequence: 3 }]]);
    assert.equal(isPositionIn(end, kept), true);
    assert.equal(isPositionIn(end, lost), false);
    const next = await append('t', 'd');
    assert.deepEqual([next.epoch, next.sequence], [end.epoch, 4]);
    assert.equal((await endOf('only on the old side')).sequence, 0);
    assert.deepEqual((await append('new', 'a')).sequence, 1);
  });

  it('ends with a promoted replica of Redis, for topics written before, and not for those written since', async () => {
    const before = await append('t', 'a');
    const other = await startRedis();
    await other.replicate(redis);
    await other.promote();
    const here = (await (await brokersOn(other)).open())!;
    assert.deepEqual((await endOf('t', here)).previous, [{ epoch: before.epoch, sequence: 1 }]);
    const [since] = await here.append('new', [entry('a')]);
    const there = (await (await brokersOn(other)).open())!;
    const [next] = await there.append('new', [entry('b')]);
    assert.deepEqual([next!.epoch, next!.sequence], [since!.epoch, 2]);
  });

  it('goes on when the first replica of Redis comes, which changes the replication id', async () => {
    const before = await append('t', 'a');
    const id = await redis.replication('master_replid');
    await (await startRedis()).replicate(redis);
    assert.notEqual(await redis.replication('master_replid'), id);
    await noticed(() => redis.replication('master_replid'));
    const after = await append('t', 'b');
    assert.deepEqual([after.epoch, after.sequence], [before.epoch, 2]);
    assert.equal((await append('t', 'c')).epoch, before.epoch);
    assert.deepEqual((await endOf('t')).previous, []);
  });

  const copy = async (topic: string) => {
    const keys = [`rtc:{${topic}}:log`, `rtc:{${topic}}:meta`];
    const dumps = await Promise.all(keys.map((key) => link.call<Buffer>(['DUMP', key], 'buffers')));
    return async () => {
      for (const [i, key] of keys.entries()) await link.call(['RESTORE', key, '0', dumps[i]!, 'REPLACE']);
    };
  };

  it('has no shorter log in the same epoch than a replica has seen: an append ends the epoch', async () => {
    const kept = await append('t', 'a', 'b', 'c');
    const restore = await copy('t');
    await append('t', 'd', 'e');
    await restore();
    const after = await append('t', 'f');
    assert.notEqual(after.epoch, kept.epoch);
    assert.equal(after.sequence, 4);
    assert.deepEqual((await endOf('t')).previous, [{ epoch: kept.epoch, sequence: 3 }]);
    assert.equal((await append('t', 'g')).epoch, after.epoch);
  });

  it('has no shorter log in the same epoch than a replica has seen: a read ends the epoch, whoever has appended', async () => {
    const others = (await fixtures[0]!.open())!;
    const kept = await append('t', 'a', 'b', 'c');
    const restore = await copy('t');
    await others.append('t', [entry('d')]);
    assert.equal((await endOf('t')).sequence, 4);
    await restore();
    const end = await endOf('t');
    assert.notEqual(end.epoch, kept.epoch);
    assert.deepEqual(end.previous, [{ epoch: kept.epoch, sequence: 3 }]);
  });

  it('has no log that goes back behind the beginning of the epoch that a replica has seen', async () => {
    const kept = await append('t', 'a', 'b', 'c');
    const restore = await copy('t');
    await link.call(['HSET', 'rtc:{t}:meta', 'i', 'another']);
    const second = await append('t', 'd');
    assert.notEqual(second.epoch, kept.epoch);
    await endOf('t');
    await restore();
    const after = await append('t', 'e');
    assert.ok(![kept.epoch, second.epoch].includes(after.epoch));
    assert.equal(after.sequence, 4);
  });

  it('is remembered for more epochs than a busy week of restarts has', async () => {
    const first = await append('t', 'a');
    for (let n = 0; n < 40; n++) {
      await link.call(['HSET', 'rtc:{t}:meta', 'i', `history-${n}`]);
      await append('t', 'b');
    }
    const end = await endOf('t');
    assert.equal(end.previous.length, 40);
    assert.equal(isPositionIn(end, first), true);
    for (let n = 0; n < 40; n++) {
      await link.call(['HSET', 'rtc:{t}:meta', 'i', `history+${n}`]);
      await endOf('t');
    }
    assert.equal((await endOf('t')).previous.length, 64);
  });

  it('is looked at by every append: one that was not noticed yet is no reason to refuse messages', async () => {
    const before = await append('t', 'a');
    // Changes the replication id as a promotion does; the link asks for it only once a second.
    for (let n = 0; n < 5; n++) {
      await link.call(['REPLICAOF', '127.0.0.1', '1']);
      await link.call(['REPLICAOF', 'NO', 'ONE']);
      const after = await append('t', 'b');
      assert.equal(after.sequence, n + 2);
    }
    const end = await endOf('t');
    assert.equal(end.previous.length, 5);
    assert.equal(end.previous.at(-1)!.epoch, before.epoch);
  });

  it('is no reason for new epochs that replicas keep histories of different size, or none', async () => {
    const others = (await fixtures[0]!.open())!;
    const keeps = fixtures[0]!.retention;
    const as = async <Result>(historySize: number, run: () => Promise<Result>) => {
      fixtures[0]!.retention = { ...keeps, historySize };
      return run();
    };
    const epochs = new Set<string>();
    for (let n = 0; n < 5; n++) {
      epochs.add((await as(0, () => append('t', 'not stored'))).epoch);
      epochs.add((await as(1000, () => endOf('t'))).epoch);
      epochs.add((await as(1000, () => endOf('t', others))).epoch);
    }
    assert.equal(epochs.size, 1);
    for (let n = 0; n < 5; n++) {
      epochs.add((await as(1000, () => append('t', 'stored'))).epoch);
      epochs.add((await as(0, () => append('t', 'not stored'))).epoch);
      epochs.add((await as(3, () => append('t', 'stored'))).epoch);
      epochs.add((await as(1000, () => endOf('t'))).epoch);
    }
    assert.equal(epochs.size, 1);
    const { end, entries } = await as(1000, () => broker.read('t', 0, 100));
    assert.deepEqual([end.sequence, entries.map(({ sequence }) => sequence)], [20, [17, 18, 20]]);
  });

  it('is taken over from the meta of version 0.1, which names the process only', async () => {
    const before = await append('t', 'a');
    await link.call(['HDEL', 'rtc:{t}:meta', 'i']);
    assert.equal((await append('t', 'b')).epoch, before.epoch);
    assert.equal(await link.call(['HGET', 'rtc:{t}:meta', 'i']), link.redis!.histories[0]);
    await link.call(['HDEL', 'rtc:{t}:meta', 'i']);
    await link.call(['HSET', 'rtc:{t}:meta', 'r', 'another process']);
    assert.notEqual((await append('t', 'c')).epoch, before.epoch);
    // Version 0.1 ends no epoch either: it finds the process that it knows.
    assert.equal(await link.call(['HGET', 'rtc:{t}:meta', 'r']), link.redis!.runId);
  });
});
