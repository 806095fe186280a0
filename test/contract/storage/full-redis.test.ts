import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
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
    await call('ZADD', 'leases', '1', 'a');
    await call('HSET', 'rate', '1', '1');
    await fill();
    const presence = new RedisScript('presence').run(link, presenceKeys, [
      ...presenceOf('a', 'no'),
      ...['ann', '0', '1', 'bob', '1', '0'],
    ]);
    await assert.rejects(presence, /OOM/);
    await assert.rejects(new RedisScript('user-rate').run(link, ['rate'], ['10', '5']), /OOM/);
    assert.deepEqual(await call('HGETALL', 'presence'), ['ann', 'a=1']);
    assert.deepEqual(await call('HGETALL', 'rate'), ['1', '1']);
  });

  it('removes users whose last connection closes', async () => {
    await call('HSET', 'presence', 'ann', 'a=1');
    await call('ZADD', 'leases', '1', 'a');
    await fill();
    const args = [...presenceOf('a', 'last'), 'ann', '0', '1'];
    assert.equal(await new RedisScript('presence').run(link, presenceKeys, args), 1);
    assert.deepEqual(await keys(), ['leases']);
  });

  const presenceKeys = ['presence', 'topics', 'leases'];
  const presenceOf = (replica: string, isLast: 'last' | 'no') => [
    ...[replica, replica, '1000', 'rtc:bus', 't'],
    isLast === 'last' ? '1' : '0',
  ];
  const registryKeys = ['replicas', 'leases', 'departed', 'records'];
  const beatKeys = [...registryKeys, 'beats'];

  // [script, keys, arguments, whether it is stored although the memory is full]
  const calls: readonly (readonly [name: string, keys: string[], args: string[], isStored?: 'stored'])[] = [
    [
      'append',
      ['rtc:{n}:log', 'rtc:{n}:meta'],
      ['run HISTORY w 1 e 3 -', '1 1 1 0 - 1\n', 'x', '', '9 999 999 999 0 0 0 0'],
    ],
    [
      'append',
      ['rtc:{t}:log', 'rtc:{t}:meta'],
      ['run HISTORY w 1 e 3 -', '1 1 1 0 - 1\n', 'x', '', '1 999 999 999 0 0 0 0'],
    ],
    ['forget-fields', ['map'], ['field', '5'], 'stored'],
    ['inbox-remove', ['rtc:{t}:log', 'rtc:{t}:from', 'rtc:{t}:meta'], ['', '1'], 'stored'],
    ['presence', presenceKeys, [...presenceOf('a', 'no'), 'ann', '0', '1', 'bob', '1', '0']],
    ['presence-check', ['topics', 'presence'], ['a', '1000', 'ann'], 'stored'],
    ['presence-sweep', presenceKeys, ['c', 'c', '0', '10', 'rtc:bus', 't'], 'stored'],
    ['presence-lease', ['leases', 'topics'], ['a', 't', '1000']],
    ['presence-swept', ['leases', 'topics'], ['c', 't'], 'stored'],
    ['session-drop', ['session:a'], ['before'], 'stored'],
    ['session-index', ['index', 'sizes'], ['1000', '0', '0', 'a', '5']],
    ['session-put', ['session:a'], ['1000', '0', '{}', '1']],
    ['session-save', ['session:a'], ['1000', '1', '{', '{}']],
    ['forget-session', ['session:a'], ['before', 'rest', '60000'], 'stored'],
    ['claim-session', ['session:c'], ['1000', '', '{', '{}']],
    [
      'put-sessions',
      ['session:a', 'index', 'sizes', 'session:b', 'index', 'sizes'],
      ['1000', '1', '0', '0', 'session:', 'a', '{}', '1', 'ann', 'b', '{}', '2', 'ann'],
    ],
    [
      'save-session',
      ['session:a', 'index', 'sizes'],
      ['1000', '0', '0', 'session:', '1', '{', 'a', '{}', 'ann', '0'],
    ],
    [
      'read',
      ['rtc:{n}:log', 'rtc:{n}:meta'],
      ['run h -', 'e', '1000', 'end', '0', '0', '1', '9', '99', '1', '1000'],
    ],
    ['replace-value', ['session:a'], ['before', 'after', '60000']],
    ['replica-leave', [...registryKeys, 'topics'], ['a'], 'stored'],
    ['replica-name', registryKeys, ['x', 'b', 'rtc:bus:'], 'stored'],
    ['replica-swept', ['leases', 'departed', 'records', 'none'], ['c'], 'stored'],
    ['replicas', beatKeys, ['x', '1000', '{}'], 'stored'],
    ['resolve', ['rtc:{t}:meta'], ['w', '7', '1', '1000', '-']],
    ['restore-fields', ['map'], ['field', '9 restored'], 'stored'],
    ['user-quota', ['quota'], ['1000', '5']],
    ['user-rate', ['rate'], ['10', '5']],
    ['write-fields', ['map'], ['0', '1', 'field', 'written'], 'stored'],
  ];
  const dump = async () => {
    const found = new Map<string, string>();
    for (const key of await keys()) {
      const value = await link.call<Buffer>(['DUMP', key], 'buffers');
      const expires = (await call<number>('PTTL', key)) >= 0;
      found.set(key, `${value.toString('base64')}${expires ? ', expires' : ''}`);
    }
    return found;
  };

  it('has a call of every script in the list of this test', () => {
    const names = readdirSync(scripts).filter((name) => name.endsWith('.lua'));
    assert.deepEqual([...new Set(calls.map(([name]) => `${name}.lua`))].sort(), names.sort());
  });

  for (const [name, scriptKeys, args, isStored] of calls) {
    const outcome =
      isStored === undefined
        ? 'is refused whole'
        : 'is stored all the same: it is for operators, renews, or removes';
    it(`is met by ${name}.lua (${scriptKeys[0]}): it ${outcome}`, async () => {
      await broker.append('t', [entry('a'), entry('b')]);
      await call('HSET', 'presence', 'ann', 'a=1');
      await call('HSET', 'rate', '1', '1');
      await call('ZADD', 'replicas', '1', 'b');
      await call('ZADD', 'leases', '1', 'a', '1', 'b');
      await call('ZADD', 'departed', '1', 'c');
      await call('HSET', 'records', 'c', '{}');
      await call('HSET', 'presence', 'cat', 'a=1 c=1');
      await call('SADD', 'topics', 't');
      await call('HSET', 'map', 'field', '5 before', '#version', '5');
      await call('SET', 'session:a', 'before');
      await fill();
      const before = await dump();
      const history = link.redis!.histories[0]!;
      const run = new RedisScript(name).run(
        link,
        scriptKeys,
        args.map((arg) => arg.replace('HISTORY', history)),
      );
      if (isStored === undefined) {
        await assert.rejects(run, /OOM/);
        assert.deepEqual(await dump(), before);
      } else {
        await run;
        assert.notDeepEqual(await dump(), before);
      }
    });
  }

  it('is met by each script with a write that it can refuse, before any other write, unless it is for operators or frees memory', () => {
    const names = readdirSync(scripts).filter((name) => name.endsWith('.lua'));
    assert.ok(names.length > 5);
    for (const name of names) {
      const text = readFileSync(join(scripts, name), 'utf8');
      if (text.includes('--- @include "includes/operators-first"') || always.has(name)) continue;
      const source = luaSource(scripts, name.replace('.lua', '')).replace(/--.*$/gm, '');
      const writes = [...source.matchAll(/call\('([A-Z]+)'/g)].map((match) => match[1]!);
      const first = writes.findIndex((command) => needsMemory.has(command));
      const removal = writes.findIndex((command) => removes.has(command));
      assert.ok(first < 0 || removal < 0 || first < removal, `${name}: ${writes.join(' ')}`);
    }
  });
});

/** Scripts that free memory, and those of the leases of replicas: a few bytes without which nothing is right. */
const always = new Set([
  'forget-session.lua',
  'inbox-remove.lua',
  'presence-sweep.lua',
  'replica-leave.lua',
  'replica-name.lua',
  'replicas.lua',
]);
/**
 * Commands of the scripts that Redis refuses when its memory is full, and those that it allows although they
 * write.
 */
const needsMemory = new Set(['SET', 'HSET', 'SADD', 'HINCRBY', 'XADD', 'ZADD']);
const removes = new Set([
  'DEL',
  'HDEL',
  'SREM',
  'XDEL',
  'ZREM',
  'ZREMRANGEBYSCORE',
  'PEXPIRE',
  'EXPIRE',
  'XTRIM',
]);
