import assert from 'node:assert/strict';
import { loadSettings, SettingsError } from '../../../server/config/load.js';
import { redisAddressOf } from '../../../server/config/redis-address.js';
import { databaseMark } from '../../../server/storage/redis/database.js';

const addressOf = (environment: NodeJS.ProcessEnv) => redisAddressOf(loadSettings(environment).redis);
const refusal = (environment: NodeJS.ProcessEnv) => {
  try {
    loadSettings(environment);
  } catch (error) {
    if (error instanceof SettingsError) return error.message;
  }
  return assert.fail('nothing was refused');
};

describe('the address of Redis', () => {
  it('is that of redis.url', () => {
    assert.equal(addressOf({}), undefined);
    assert.deepEqual(addressOf({ REDIS_URL: 'redis://localhost' }), {
      isTls: false,
      database: 0,
      host: { host: 'localhost', port: 6379 },
    });
    assert.deepEqual(addressOf({ REDIS_URL: 'rediss://user:p%40ss%3A@[::1]:6380/3' }), {
      username: 'user',
      password: 'p@ss:',
      isTls: true,
      database: 3,
      host: { host: '::1', port: 6380 },
    });
  });

  it('names the Sentinels and the primary, as one address', () => {
    const url = 'redis+sentinel://user:pass@a:26380,[::1],c/main/2?sentinel_username=s&sentinel_password=%26';
    const common = { username: 's', password: '&', isTls: false };
    assert.deepEqual(addressOf({ REDIS_URL: url }), {
      username: 'user',
      password: 'pass',
      isTls: false,
      database: 2,
      sentinel: {
        masterName: 'main',
        sentinels: [
          { host: 'a', port: 26380, ...common },
          { host: '::1', port: 26379, ...common },
          { host: 'c', port: 26379, ...common },
        ],
      },
    });
    assert.equal(databaseMark(url), ':db2');
    assert.equal(addressOf({ REDIS_URL: 'rediss+sentinel://a/main' })?.sentinel?.sentinels[0]?.isTls, true);
  });

  it('names nodes of a Redis Cluster, by a scheme of its own or by several hosts', () => {
    assert.deepEqual(addressOf({ REDIS_URL: 'rediss+cluster://user:p%40ss@a,[::1]:7001' }), {
      username: 'user',
      password: 'p@ss',
      isTls: true,
      database: 0,
      cluster: [
        { host: 'a', port: 6379 },
        { host: '::1', port: 7001 },
      ],
    });
    assert.deepEqual(addressOf({ REDIS_URL: 'redis://a:7000,b:7001/0' })?.cluster, [
      { host: 'a', port: 7000 },
      { host: 'b', port: 7001 },
    ]);
    assert.equal(addressOf({ REDIS_URL: 'redis+cluster://one' })?.cluster?.length, 1);
    for (const url of [
      'redis+cluster://a/1',
      'redis://a,b/2',
      'redis+cluster://',
      'redis+cluster://a,',
      'redis://a,b:x',
    ])
      assert.match(refusal({ REDIS_URL: url }), /redis\.url: must be .*redis\+cluster/, url);
    assert.match(
      refusal({ REDIS_URL: 'redis://a,b', RTC_REDIS_SENTINELS: 'c' }),
      /redis\.sentinels: must be empty for a Redis Cluster/,
    );
  });

  it('names the Sentinels and the primary, as settings of their own', () => {
    const sentinels = 'a,b:26380,redis://:secret@c';
    assert.deepEqual(addressOf({ RTC_REDIS_SENTINELS: sentinels })?.sentinel, {
      masterName: 'mymaster',
      sentinels: [
        { host: 'a', port: 26379, isTls: false },
        { host: 'b', port: 26380, isTls: false },
        { password: 'secret', host: 'c', port: 26379, isTls: false },
      ],
    });
    const withUrl = addressOf({
      RTC_REDIS_SENTINELS: sentinels,
      RTC_REDIS_SENTINEL_MASTER_NAME: 'main',
      REDIS_URL: 'rediss://:pass@unused/1',
    });
    assert.deepEqual([withUrl?.password, withUrl?.database, withUrl?.isTls], ['pass', 1, true]);
    assert.equal(withUrl?.host, undefined);
    assert.equal(withUrl?.sentinel?.masterName, 'main');
    // Without a scheme of its own, a Sentinel has that of the address.
    assert.deepEqual(
      withUrl?.sentinel?.sentinels.map(({ isTls }) => isTls),
      [true, true, false],
    );
  });

  it('is another one where a command names it', () => {
    const { redis } = loadSettings({ RTC_REDIS_SENTINELS: 'a' });
    assert.deepEqual(redisAddressOf(redis, 'redis://other')?.host, { host: 'other', port: 6379 });
  });

  it('is refused if it cannot be read, without a word of it', () => {
    for (const url of [
      'http://host',
      'redis://host/main',
      'redis+sentinel://host',
      'redis+sentinel://host:99999/main',
      'redis+sentinel://a,,b/main',
      'redis+sentinel://a/main?password=secret',
      'redis://%zz@host',
    ]) {
      const message = refusal({ REDIS_URL: url });
      assert.match(message, /^redis\.url: must be redis:\/\//);
      assert.doesNotMatch(message, /secret|zz/);
    }
    assert.match(refusal({ RTC_REDIS_SENTINELS: 'a:b' }), /^redis\.sentinels\[0\]: must be host/);
    assert.match(refusal({ RTC_REDIS_TLS_CERT_FILE: 'x' }), /^redis\.tls_key_file: must be set together/);
  });
});
