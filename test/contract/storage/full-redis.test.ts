import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { luaSource } from '../../../server/storage/redis/lua-source.js';
import { RedisScript } from '../../../server/storage/redis/redis-script.js';
import type { Broker } from '../../../server/log/broker.js';
import { RefusalError } from '../../../shared/errors.js';
import { TestRedis } from '../../support/redis.js';
import { entry, type BrokerFixture } from '../log/broker-contract.js';
import { redisBrokers } from '../../support/redis-brokers.js';
import { root } from '../../support/root.js';

const scripts = join(root, 'server', 'storage', 'redis', 'lua');

describe('[P7] a Redis whose memory is full', function () {
  this.timeout(60_000);
  let redis: TestRedis;
  let fixture: BrokerFixture & { links: RedisLink[] };
  let broker: Broker;
  let link: RedisLink;
  const call = <Reply>(...words: string[]) => link.call<Reply>(words);
  const keys = async () => (await call<string[]>('KEYS', '*')).sort();
  /** From now on every command that may need memory is refused. */
  const fill = async () => {
    await call('CONFIG', 'SET', 'maxmemory', '1');
    await assert.rejects(call('SET', 'one', 'more'), /OOM/);
  };
  const isRefused = (error: unknown) => error instanceof RefusalError && error.code === 'unavailable';

  beforeEach(async () => {
    redis = await TestRedis.start();
    fixture = await redisBrokers(redis);
    broker = (await fixture.open())!;
    link = fixture.links[0]!;
    await call('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  });
  afterEach(async () => {
    await fixture.close();
    await redis.stop();
  });

  it('refuses the first messages of new topics, and stores nothing of them', async () => {
    await fill();
    await assert.rejects(broker.append('new', [entry('a')]), isRefused);
    await assert.rejects(broker.append('keyed', [entry('a', 'key'), entry('b')]), isRefused);
    assert.deepEqual(await keys(), []);
    await call('CONFIG', 'SET', 'maxmemory', '0');
    const [receipt] = await broker.append('keyed', [entry('a', 'key')]);
    assert.deepEqual([receipt!.sequence, receipt!.duplicate], [1, false]);
  });

  it('refuses messages of topics whose metadata is lost, and keeps the rest of the log', async () => {
    await broker.append('t', [entry('a'), entry('b')]);
    await call('DEL', 'rtc:{t}:meta');
    await fill();
    const before = await keys();
    await assert.rejects(broker.append('t', [entry('c')]), isRefused);
    await assert.rejects(broker.append('t', [entry('c', 'key')]), isRefused);
    await assert.rejects(broker.read('t', 0, 10));
    assert.deepEqual(await keys(), before);
    assert.equal(await call('XLEN', 'rtc:{t}:log'), 2);
    await call('CONFIG', 'SET', 'maxmemory', '0');
    const [receipt] = await broker.append('t', [entry('c')]);
    assert.equal(receipt!.sequence, 1);
    const { entries } = await broker.read('t', 0, 10);
    assert.equal(entries.length, 1);
  });

  it('refuses messages of existing topics, and stores nothing of them', async () => {
    await broker.append('t', [entry('a')]);
    await fill();
    await assert.rejects(broker.append('t', [entry('b', 'key')]), isRefused);
    assert.equal(await call('XLEN', 'rtc:{t}:log'), 1);
    assert.equal(await call('HGET', 'rtc:{t}:meta', 's'), '1');
  });

  it('changes nothing by a script that begins with a removal', async () => {
    await call('HSET', 'presence', 'ann', 'a=1');
    await call('HSET', 'rate', '1', '1');
    await fill();
    const presence = new RedisScript('presence').run(
      link,
      ['presence'],
      ['a', '1000', 'ann', '0', 'bob', '1'],
    );
    await assert.rejects(presence, /OOM/);
    await assert.rejects(new RedisScript('user-rate').run(link, ['rate'], ['10', '5']), /OOM/);
    assert.deepEqual(await call('HGETALL', 'presence'), ['ann', 'a=1']);
    assert.deepEqual(await call('HGETALL', 'rate'), ['1', '1']);
  });

  it('removes users whose last connection closes', async () => {
    await call('HSET', 'presence', 'ann', 'a=1');
    await fill();
    const left = await new RedisScript('presence').run(link, ['presence'], ['a', '1000', 'ann', '0']);
    assert.deepEqual(left, ['ann', 1, 0]);
    assert.deepEqual(await keys(), []);
  });

  it('is met by each script with a write that it can refuse, before any other write', () => {
    const names = readdirSync(scripts).filter((name) => name.endsWith('.lua'));
    assert.ok(names.length > 5);
    for (const name of names) {
      const source = luaSource(scripts, name.replace('.lua', '')).replace(/--.*$/gm, '');
      const writes = [...source.matchAll(/call\('([A-Z]+)'/g)].map((match) => match[1]!);
      const first = writes.findIndex((command) => needsMemory.has(command));
      const removal = writes.findIndex((command) => removes.has(command));
      assert.ok(first < 0 || removal < 0 || first < removal, `${name}: ${writes.join(' ')}`);
    }
  });
});

/**
 * Commands of the scripts that Redis refuses when its memory is full, and those that it allows although they
 * write.
 */
const needsMemory = new Set(['SET', 'HSET', 'HINCRBY', 'XADD', 'ZADD']);
const removes = new Set(['DEL', 'HDEL', 'XDEL', 'ZREM', 'ZREMRANGEBYSCORE', 'PEXPIRE', 'EXPIRE', 'XTRIM']);
