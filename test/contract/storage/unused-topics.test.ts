import assert from 'node:assert/strict';
import type { Broker } from '../../../server/log/broker.js';
import type { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { redisBrokers } from '../../support/redis-brokers.js';
import { TestRedis } from '../../support/redis.js';
import { entry } from '../log/broker-contract.js';

const secondMs = 1000;
const minuteMs = 60 * secondMs;

describe('[P5.7] a topic without messages', () => {
  let redis: TestRedis;
  let fixture: Awaited<ReturnType<typeof redisBrokers>>;
  let broker: Broker;
  let link: RedisLink;
  before(async () => {
    redis = await TestRedis.start();
    fixture = await redisBrokers(redis);
    fixture.retention = { ...fixture.retention, historyTtlMs: 60 * minuteMs };
    broker = (await fixture.open())!;
    link = fixture.links[0]!;
  });
  after(async () => {
    await fixture.close();
    await redis.stop();
  });
  beforeEach(() => redis.command('FLUSHALL'));

  const keptMs = () => link.call<number>(['PTTL', 'rtc:{t}:meta']);
  const usedFor = (ms: number) => link.call(['HSET', 'rtc:{t}:meta', 'c', String(Date.now() - ms)]);
  const assertKept = async (ms: number) => {
    const left = await keptMs();
    assert.ok(left > ms - minuteMs && left <= ms + minuteMs, `${left} is about ${ms}`);
  };

  it('is forgotten soon when it was looked at once, or twice', async () => {
    await broker.ends(['t']);
    await assertKept(2 * minuteMs);
    await broker.ends(['t']);
    await broker.read('t', 0, 10);
    await assertKept(2 * minuteMs);
  });

  it('is kept for as long as it has been in use, at most for the time of a history', async () => {
    const [before] = await broker.ends(['t']);
    await usedFor(10 * minuteMs);
    await broker.ends(['t']);
    await assertKept(10 * minuteMs);
    await usedFor(1000 * minuteMs);
    const [after] = await broker.ends(['t']);
    await assertKept(61 * minuteMs);
    assert.equal(after!.epoch, before!.epoch);
  });

  it('is kept for at least the shortest time, whatever the clock of another replica says', async () => {
    await broker.ends(['t']);
    await usedFor(-1000 * minuteMs);
    await broker.ends(['t']);
    await assertKept(2 * minuteMs);
  });

  it('is kept for the time of a history from its first message on', async () => {
    const [end] = await broker.ends(['t']);
    const [receipt] = await broker.append('t', [entry('a')]);
    assert.equal(receipt!.epoch, end!.epoch);
    assert.ok((await keptMs()) > 60 * minuteMs);
    await link.call(['PEXPIRE', 'rtc:{t}:meta', '1000']);
    await broker.ends(['t']);
    await assertKept(61 * minuteMs);
  });
});
