import assert from 'node:assert/strict';
import { urlFor } from '../../../server/cli/redis.js';
import { redisAddressOf } from '../../../server/config/redis-address.js';

describe('rtc redis acl', () => {
  it('shows an address of the kind that the settings have', () => {
    const urlOf = (url: string) =>
      urlFor(redisAddressOf({ url, sentinels: [], sentinelMasterName: '' }), 'rtc', 'pw');
    assert.equal(urlFor(undefined, 'rtc', 'pw'), 'redis://rtc:pw@host:6379');
    assert.equal(urlOf('redis://one:6379'), 'redis://rtc:pw@host:6379');
    assert.equal(urlOf('redis://one:6379/3'), 'redis://rtc:pw@host:6379/3');
    assert.equal(urlOf('redis+sentinel://one:26379/main/2'), 'redis+sentinel://rtc:pw@host:26379/main/2');
    assert.equal(urlOf('rediss://one:6379'), 'rediss://rtc:pw@host:6379');
    assert.equal(urlOf('rediss+cluster://one:6379,two:6379'), 'rediss+cluster://rtc:pw@host:6379');
    assert.equal(
      urlOf('redis+sentinel://one:26379,two:26379/main'),
      'redis+sentinel://rtc:pw@host:26379/main',
    );
  });
});
