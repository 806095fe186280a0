import assert from 'node:assert/strict';
import type { Log } from '../../../server/logging/log.js';
import { silentLog } from '../../../server/logging/log.js';
import { RedisBus } from '../../../server/storage/redis/redis-bus.js';
import { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { RedisReplicaRegistry } from '../../../server/storage/redis/redis-replica-registry.js';
import { Closing } from '../../support/closing.js';
import { startEmbedded } from '../../support/embedded-service.js';
import { TestRedis } from '../../support/redis.js';
import { until } from '../../support/wait.js';

describe('[LOG] the storage format', function () {
  this.timeout(60_000);
  let redis: TestRedis;
  let errors: string[];
  const closing = new Closing();
  const open = (): RedisLink => {
    const log: Log = { ...silentLog, error: (text) => void errors.push(text) };
    const settings = { url: redis.url, commandTimeoutMs: 500, stallLimitMs: 3000, keyPrefix: 'rtc' };
    const link = new RedisLink({ log }, settings);
    closing.add(() => link.close());
    link.start();
    return link;
  };
  beforeEach(async () => {
    errors = [];
    redis = await closing.started(TestRedis.start());
  });
  afterEach(() => closing.close());

  it('is noted where none is, and what is noted stays', async () => {
    assert.ok(await open().whenUp(5000));
    assert.equal(await redis.command('STRLEN rtc:format'), ':1');
    await redis.command('SET rtc:format 0');
    assert.ok(await open().whenUp(5000));
    await redis.command('INCR rtc:format');
    assert.equal(await redis.command('INCR rtc:format'), ':2');
  });

  it('that is newer makes a replica wait, says so once, and lets it go on when it is readable again', async () => {
    await redis.command('SET rtc:format 2');
    const link = open();
    await until(() => link.unsupported !== undefined, 'the format is refused');
    assert.match(link.unsupported ?? '', /storage format 2, and this release reads up to 1/);
    assert.equal(await link.whenUp(3000), false);
    await redis.command('SET rtc:format 1');
    await until(() => link.state === 'up', 'the replica goes on');
    assert.equal(link.unsupported, undefined);
    assert.equal(errors.length, 1);
  });

  it('is no obstacle if another program has its key', async () => {
    await redis.command('LPUSH rtc:format x');
    assert.ok(await open().whenUp(5000));
  });

  it('that is newer refuses the start of the service, by name', async () => {
    await redis.command('SET rtc:format 2');
    await assert.rejects(startEmbedded({ REDIS_URL: redis.url }), (error: Error) => {
      assert.match(error.message, /start the release that wrote them or a newer one/);
      return error.name === 'UnsupportedStoreError';
    });
  });

  it('comes with each message between replicas; those of a newer one are ignored, those without one are not', async () => {
    const link = open();
    assert.ok(await link.whenUp(5000));
    const log: Log = { ...silentLog, error: (text) => void errors.push(text) };
    const identity = { id: 'a', name: 'a', version: '1', settings: {} };
    const registry = new RedisReplicaRegistry({ link, log }, { keyPrefix: 'rtc', identity });
    closing.add(() => registry.close());
    const bus = new RedisBus({ link, registry, log }, { keyPrefix: 'rtc' });
    closing.add(() => bus.close());
    const received: unknown[] = [];
    bus.on('note', (data) => received.push(data));
    const send = (message: object) => link.call(['PUBLISH', 'rtc:bus:a', JSON.stringify(message)]);
    await until(
      async () => Number(await send({ kind: 'other', from: 'b', data: 0 })) > 0,
      'it is subscribed',
    );
    for (let n = 0; n < 2; n++) await send({ v: 2, kind: 'note', from: 'new', data: 'newer' });
    await send({ kind: 'note', from: 'old', data: 'without' });
    await send({ v: 1, kind: 'note', from: 'same', data: 'same' });
    await until(() => received.length === 2, 'the readable ones arrive');
    assert.deepEqual(received, ['without', 'same']);
    assert.equal(errors.length, 1);
  });
});
