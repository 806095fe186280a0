import assert from 'node:assert/strict';
import type { LogFields } from '../../../server/logging/log.js';
import { RedisOutage } from '../../../server/storage/redis/redis-outage.js';
import { FakeClock } from '../../support/fake-clock.js';
import { recordingLog } from '../../support/recording-log.js';

describe('[LOG] an outage of Redis', () => {
  let clock: FakeClock;
  let outage: RedisOutage;
  let lines: [level: string, message: string, fields: LogFields][];
  let lasting: (string | undefined)[];

  beforeEach(() => {
    clock = new FakeClock();
    lines = [];
    lasting = [];
    const log = recordingLog((...line) => lines.push(line));
    outage = new RedisOutage({ log, clock });
    outage.onLasting((one) => lasting.push(one?.kind));
  });

  const error = (message: string, code?: string) => Object.assign(new Error(message), { code });
  const told = () => lines.map(([level, message]) => `${level} ${message}`);
  const refused = error('connect ECONNREFUSED 127.0.0.1:6379', 'ECONNREFUSED');

  it('is one ERROR with a remedy, however often the service tries', () => {
    for (let n = 0; n < 100; n++) outage.failed(refused);
    assert.deepEqual(told(), ['error Redis is not reached']);
    assert.match(String(lines[0]![2]['remedy']), /REDIS_URL/);
    assert.match(String(lines[0]![2]['reason']), /ECONNREFUSED/);
    assert.equal(outage.current?.kind, 'unreachable');
  });

  it('that begins while the service runs is a loss, and its end is told', async () => {
    outage.up();
    outage.failed(error('Socket closed unexpectedly'));
    outage.down(false);
    outage.failed(refused);
    await clock.advance(1500);
    outage.up();
    assert.deepEqual(told(), ['error Redis is lost', 'info Redis is back']);
    assert.equal(lines[1]![2]['after_ms'], 1500);
    outage.failed(refused);
    assert.equal(told().at(-1), 'error Redis is lost', 'the next one is told again');
  });

  it('has the remedy of its cause', () => {
    for (const [failure, kind, remedy] of [
      [error('NOAUTH Authentication required.'), 'password', /redis:\/\/:password@host/],
      [error('WRONGPASS invalid username-password pair or user is disabled.'), 'password', /REDIS_URL/],
      [error('ERR invalid password'), 'password', /REDIS_URL/],
      [error("NOPERM this user has no permissions to run the 'info' command"), 'password', /rtc redis acl/],
      [error('ERR max number of clients reached'), 'clients', /maxclients/],
      [error('wrong version number', 'EPROTO'), 'tls', /rediss:/],
      [error('self-signed certificate', 'DEPTH_ZERO_SELF_SIGNED_CERT'), 'tls', /NODE_EXTRA_CA_CERTS/],
      [error('getaddrinfo ENOTFOUND redis', 'ENOTFOUND'), 'unreachable', /REDIS_URL/],
      [new AggregateError([error('connect ECONNREFUSED ::1:6379')], ''), 'unreachable', /start Redis/],
    ] as const) {
      outage.close();
      outage.failed(failure);
      assert.equal(outage.current?.kind, kind, failure.message);
      assert.match(outage.current.remedy, remedy);
      assert.notEqual(outage.current.reason, '');
    }
  });

  it('that changes its cause is told again; a stall that becomes a loss is not', () => {
    outage.up();
    outage.down(true);
    outage.failed(error('Socket closed unexpectedly'));
    assert.deepEqual(told(), ['error Redis does not answer']);
    outage.failed(error('WRONGPASS invalid username-password pair'));
    assert.deepEqual(told().slice(1), ['error Redis refuses the user or the password']);
  });

  it('raises an alert if it lasts, and another one at its end', async () => {
    outage.failed(refused);
    await clock.advance(4999);
    assert.deepEqual(lasting, []);
    await clock.advance(1);
    assert.deepEqual(lasting, ['unreachable']);
    outage.failed(error('NOAUTH Authentication required.'));
    outage.up();
    assert.deepEqual(lasting, ['unreachable', 'password', undefined]);
    assert.equal(clock.pendingTimers, 0);
  });

  it('that is short raises none', async () => {
    outage.failed(refused);
    await clock.advance(1000);
    outage.up();
    await clock.advance(10_000);
    assert.deepEqual(lasting, []);
  });
});
