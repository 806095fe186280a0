import assert from 'node:assert/strict';
import type { Broker } from '../../../server/log/broker.js';
import type { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { entry } from '../log/broker-contract.js';
import { redisBrokers } from '../../support/redis-brokers.js';
import { TestRedis } from '../../support/redis.js';

// A replica of version 0.1 sends no sender: its keys belong to the topic.
describe('[P4.8] keys while replicas of version 0.1 and of this one share a Redis', () => {
  let redis: TestRedis;
  let fixture: Awaited<ReturnType<typeof redisBrokers>>;
  let broker: Broker;
  let link: RedisLink;
  let close: () => Promise<void>;
  before(async () => {
    redis = await TestRedis.start();
    fixture = await redisBrokers(redis);
    broker = (await fixture.open())!;
    link = fixture.links[0]!;
    close = fixture.close;
  });
  after(async () => {
    await close();
    await redis.stop();
  });
  beforeEach(() => redis.command('FLUSHALL'));

  const publish = async (key: string, sender?: string) => {
    const [receipt] = await broker.append('t', [entry('a', key, sender)]);
    return [receipt!.sequence, receipt!.duplicate];
  };

  it('recognises what a replica of version 0.1 has stored', async () => {
    assert.deepEqual(await publish('k'), [1, false]);
    assert.deepEqual(await publish('k', 'ann'), [1, true]);
  });

  it('is recognised by a replica of version 0.1', async () => {
    assert.deepEqual(await publish('k', 'ann'), [1, false]);
    assert.deepEqual(await publish('k'), [1, true]);
    assert.deepEqual(await publish('k', 'ann'), [1, true]);
  });

  it('stores in the form that version 0.1 reads, with the sender after it', async () => {
    const [receipt] = await broker.append('t', [entry('a', 'k', 'ann')]);
    const value = await link.call<string>(['GET', 'rtc:{t}:k:k']);
    assert.deepEqual(value.split(':').slice(0, 3), ['1', receipt!.epoch, receipt!.id]);
  });

  it('gives every key an expiry', async () => {
    for (const sender of ['ann', 'bob', 'carl']) await publish('k', sender);
    const keys = await link.call<string[]>(['KEYS', 'rtc:{t}:*']);
    assert.equal(keys.length, 5);
    for (const key of keys) assert.ok((await link.call<number>(['PTTL', key])) > 0, key);
  });

  it('counts what a replica of version 0.1 has put into an inbox or removed from it', async () => {
    fixture.retention = {
      ...fixture.retention,
      fullAt: 100,
      shares: { bytes: 1e6, senderMessages: 2, senderBytes: 1e6 },
    };
    const send = async (sender: string) => {
      const made = entry('x');
      const text = `"id":"${made.id}","sender":"${sender}","timestamp":1700000000000,"payload":1`;
      return (await broker.append('t', [{ ...made, entry: Buffer.from(text) }]))[0]!.refusal?.code ?? 'ok';
    };
    assert.deepEqual(
      [await send('eve'), await send('eve'), await send('eve')],
      ['ok', 'ok', 'quota_exceeded'],
    );
    // As version 0.1 does it, without the shares.
    await link.call(['XDEL', 'rtc:{t}:log', '1-0']);
    assert.deepEqual([await send('eve'), await send('eve')], ['ok', 'quota_exceeded']);
    await link.call(['DEL', 'rtc:{t}:from']);
    assert.equal(await send('eve'), 'quota_exceeded');
    await link.call(['XTRIM', 'rtc:{t}:log', 'MAXLEN', '0']);
    assert.deepEqual(
      [await send('eve'), await send('eve'), await send('eve')],
      ['ok', 'ok', 'quota_exceeded'],
    );
    assert.ok((await link.call<number>(['PTTL', 'rtc:{t}:from'])) > 0);
  });
});
