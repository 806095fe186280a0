import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import fc from 'fast-check';
import { RefusalError } from '../../../shared/errors.js';
import { AddressLimiter } from '../../../server/limits/address-limiter.js';
import {
  ClientGoneError,
  HandshakeAdmission,
} from '../../../server/gateway/handshake/handshake-admission.js';
import { UnjoinedClients } from '../../../server/gateway/handshake/unjoined-clients.js';
import { HandshakeQueue } from '../../../server/gateway/handshake/handshake-queue.js';
import { CommandLimiter, type CommandRates } from '../../../server/limits/command-limiter.js';
import { newLimitCounts } from '../../../server/limits/limit-counts.js';
import { LocalUserRates } from '../../../server/limits/local-user-rates.js';
import { SlidingWindow } from '../../../server/primitives/sliding-window.js';
import { TokenBucket } from '../../../server/primitives/token-bucket.js';
import { UserConnections } from '../../../server/limits/user-connections.js';
import { UserLimiter } from '../../../server/limits/user-limiter.js';
import type { UserRateStore } from '../../../server/limits/user-rate-store.js';
import { silentLog } from '../../../server/logging/log.js';
import { ClientAddresses } from '../../../server/gateway/handshake/client-addresses.js';
import type { Connection } from '../../../server/protocol/connection.js';
import { FakeClock } from '../../support/fake-clock.js';

/** A clock that a test moves. */
class Clock {
  ms = 1_000_000;
  readonly now = () => this.ms;
}

function refusalOf(run: () => unknown): RefusalError | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof RefusalError, String(error));
    return error;
  }
}

const isRateLimited = (error: unknown) => error instanceof RefusalError && error.code === 'rate_limited';

describe('[LIMITS] TokenBucket', () => {
  const takeAll = (bucket: TokenBucket, now: number) => {
    let taken = 0;
    while (bucket.take(now) === 0) taken++;
    return taken;
  };

  it('gives a burst of one second, then its rate, and returns when the next token is due', () => {
    const bucket = new TokenBucket(10, 0);
    assert.equal(takeAll(bucket, 0), 10);
    assert.equal(bucket.take(0), 100);
    assert.equal(takeAll(bucket, 500), 5);
    assert.equal(takeAll(bucket, 60_000), 10);
  });

  it('continues at another rate without an extra burst', () => {
    const bucket = new TokenBucket(10, 0);
    takeAll(bucket, 0);
    bucket.changeRate(100, 0);
    assert.equal(takeAll(bucket, 0), 0);
    assert.equal(takeAll(bucket, 100), 10);
    bucket.changeRate(2, 10_000);
    assert.equal(takeAll(bucket, 10_000), 2);
  });
});

describe('[LIMITS] SlidingWindow', () => {
  it('equals its model for random additions (a failure prints its seed)', () => {
    const adds = fc.array(fc.record({ waitMs: fc.nat(400), count: fc.integer({ min: 1, max: 9 }) }));
    fc.assert(
      fc.property(adds, (steps) => {
        const window = new SlidingWindow(100, 10);
        const all: { slot: number; count: number }[] = [];
        let now = 0;
        for (const { waitMs, count } of steps) {
          now += waitMs;
          const slot = Math.floor(now / 100);
          window.add(now, count);
          all.push({ slot, count });
          const inside = all.filter((one) => one.slot > slot - 10);
          assert.equal(
            window.sum(now),
            inside.reduce((sum, one) => sum + one.count, 0),
          );
          assert.equal(window.nextFreeMs(now), (inside[0]!.slot + 10) * 100 - now);
        }
      }),
    );
  });
});

/** A store that the test controls, which counts its calls. */
class SteeredStore implements UserRateStore {
  readonly wanted: number[] = [];
  private readonly answers: ((grant: { granted: number; retryAfterMs: number }) => void)[] = [];

  take(
    _userId: string,
    _ratePerSec: number,
    want: number,
  ): Promise<{ granted: number; retryAfterMs: number }> {
    this.wanted.push(want);
    return new Promise((resolve) => this.answers.push(resolve));
  }

  async answer(granted: number, retryAfterMs = 0): Promise<void> {
    this.answers.shift()!({ granted, retryAfterMs });
    for (let n = 0; n < 10; n++) await Promise.resolve();
  }
}

describe('[LIMITS] UserLimiter', () => {
  const clock = new Clock();
  const counts = newLimitCounts();
  const open: UserLimiter[] = [];
  const limiterOn = (store: UserRateStore) => {
    const local = new LocalUserRates({ now: clock.now });
    const limiter = new UserLimiter({ store, local, counts, log: silentLog, now: clock.now });
    open.push(limiter);
    return limiter;
  };
  afterEach(() => {
    for (const limiter of open.splice(0)) limiter.close();
  });

  it('uses a grant without further calls, for at most a second', async () => {
    const store = new SteeredStore();
    const limiter = limiterOn(store);
    const first = limiter.admit('ann', 100);
    await store.answer(5);
    await first;
    assert.deepEqual(store.wanted, [5]);
    for (let n = 0; n < 3; n++) assert.equal(limiter.admit('ann', 100), undefined);
    clock.ms += 1001;
    assert.ok(limiter.admit('ann', 100) instanceof Promise);
    assert.equal(store.wanted.length, 2);
    await store.answer(5);
  });

  it('keeps commands that arrive meanwhile in order, and requests them all at once', async () => {
    const store = new SteeredStore();
    const limiter = limiterOn(store);
    const order: number[] = [];
    const settled: Promise<unknown>[] = [];
    const command = (n: number) =>
      settled.push(Promise.resolve(limiter.admit('ann', 100)).then(() => order.push(n)));
    for (let n = 0; n < 20; n++) command(n);
    await store.answer(5);
    command(20);
    assert.deepEqual(store.wanted, [5, 15]);
    await store.answer(15);
    await store.answer(5);
    await Promise.all(settled);
    assert.deepEqual(
      order,
      Array.from({ length: 21 }, (_, n) => n),
    );
  });

  it('caches a denial, so that a flood makes no calls', async () => {
    const store = new SteeredStore();
    const limiter = limiterOn(store);
    const waiting = [limiter.admit('ann', 10), limiter.admit('ann', 10)].map((admitted) =>
      assert.rejects(admitted as Promise<void>, isRateLimited),
    );
    await store.answer(0, 300);
    await Promise.all(waiting);
    for (let n = 0; n < 1000; n++) {
      const refusal = refusalOf(() => limiter.admit('ann', 10));
      assert.deepEqual(refusal?.details, { retryAfterMs: 300, limit: 10 });
    }
    assert.equal(store.wanted.length, 1);
    clock.ms += 300;
    const again = limiter.admit('ann', 10);
    await store.answer(1);
    await again;
  });

  it('bounds the number of waiting commands', async () => {
    const store = new SteeredStore();
    const limiter = limiterOn(store);
    const waiting = Array.from({ length: 1000 }, () => limiter.admit('ann', 100_000));
    assert.ok(isRateLimited(refusalOf(() => limiter.admit('ann', 100_000))));
    await store.answer(5000);
    await Promise.all(waiting);
  });

  it('applies another rate at once, and drops denials of the old one', async () => {
    const store = new SteeredStore();
    const limiter = limiterOn(store);
    const denied = assert.rejects(limiter.admit('ann', 10) as Promise<void>, isRateLimited);
    await store.answer(0, 900);
    await denied;
    const admitted = limiter.admit('ann', 1000);
    assert.deepEqual(store.wanted, [1, 50]);
    await store.answer(50);
    await admitted;
  });

  it('counts locally, at the same rate, while the store is unreachable', async () => {
    const unreachable: UserRateStore = {
      take: () => Promise.reject(new RefusalError('unavailable', 'unreachable')),
    };
    const limiter = limiterOn(unreachable);
    const before = counts.localFallbacks;
    const outcomes = await Promise.allSettled(
      Array.from({ length: 30 }, () => Promise.resolve(limiter.admit('ann', 10))),
    );
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 10);
    assert.ok(counts.localFallbacks > before);
  });

  it('does not wait for a store that does not answer', async () => {
    const limiter = limiterOn({ take: () => new Promise(() => {}) });
    await limiter.admit('ann', 10);
  });
});

/** A connection with a user for the limiter, which records the reason of its close. */
function connectionOf(userId: string): Connection & { closedFor: RefusalError[] } {
  const closedFor: RefusalError[] = [];
  return {
    id: 'c',
    wire: 'json',
    sessionId: '',
    identity: { userId, roles: [], autoSubscribe: [] },
    address: '',
    connectedAt: 0,
    closedFor,
    emit: () => {},
    disconnect: (reason) => void closedFor.push(reason),
  };
}

describe('[LIMITS] CommandLimiter', () => {
  const clock = new Clock();
  let users: UserLimiter;
  const admitted = (limiter: CommandLimiter, connection: Connection) =>
    assert.equal(limiter.admit(connection), undefined);
  const limiterWith = (rates: CommandRates, abuseRefusals = 0) => {
    const local = new LocalUserRates({ now: clock.now });
    const counts = newLimitCounts();
    users = new UserLimiter({ store: local, local, counts, log: silentLog, now: clock.now });
    const current = { ...rates };
    const limiter = new CommandLimiter(
      { rates: () => current, users, counts, now: clock.now },
      { abuseRefusals },
    );
    return { limiter, counts, current };
  };
  afterEach(() => users.close());

  it('admits everything at once if no rate is set', () => {
    const { limiter } = limiterWith({ connectionRps: 0, userRps: 0 });
    const connection = connectionOf('ann');
    for (let n = 0; n < 10_000; n++) assert.equal(limiter.admit(connection), undefined);
  });

  it('limits each connection separately, and returns when to retry', () => {
    const { limiter, counts } = limiterWith({ connectionRps: 5, userRps: 0 });
    const [one, two] = [connectionOf('ann'), connectionOf('ann')];
    for (let n = 0; n < 5; n++) admitted(limiter, one);
    assert.deepEqual(refusalOf(() => limiter.admit(one))?.details, { retryAfterMs: 200, limit: 5 });
    admitted(limiter, two);
    assert.equal(counts.connection, 1);
  });

  it('applies a changed rate at once to existing connections', () => {
    const { limiter, current } = limiterWith({ connectionRps: 5, userRps: 0 });
    const connection = connectionOf('ann');
    for (let n = 0; n < 5; n++) admitted(limiter, connection);
    current.connectionRps = 1000;
    assert.ok(isRateLimited(refusalOf(() => limiter.admit(connection))));
    clock.ms += 10;
    for (let n = 0; n < 10; n++) admitted(limiter, connection);
    assert.ok(isRateLimited(refusalOf(() => limiter.admit(connection))));
    current.connectionRps = 0;
    admitted(limiter, connection);
  });

  it('limits a user over all connections', async () => {
    const { limiter, counts } = limiterWith({ connectionRps: 0, userRps: 10 });
    const connections = Array.from({ length: 5 }, () => connectionOf('ann'));
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, async (_, n) => limiter.admit(connections[n % 5]!)),
    );
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 10);
    assert.equal(counts.user, 40);
    await limiter.admit(connectionOf('bob'));
  });

  it('closes a connection once that continues after too many refusals within ten seconds', () => {
    const { limiter, counts } = limiterWith({ connectionRps: 1, userRps: 0 }, 3);
    const connection = connectionOf('ann');
    admitted(limiter, connection);
    for (let n = 0; n < 3; n++) refusalOf(() => limiter.admit(connection));
    assert.equal(connection.closedFor.length, 0);
    clock.ms += 11_000;
    admitted(limiter, connection);
    for (let n = 0; n < 3; n++) refusalOf(() => limiter.admit(connection));
    assert.equal(connection.closedFor.length, 0);
    for (let n = 0; n < 3; n++) assert.ok(isRateLimited(refusalOf(() => limiter.admit(connection))));
    assert.deepEqual(
      connection.closedFor.map(({ code }) => code),
      ['rate_limited'],
    );
    assert.equal(counts.abuseDisconnects, 1);
    // What it sent before the close arrived is refused, even if its rate would allow it.
    clock.ms += 5000;
    assert.ok(isRateLimited(refusalOf(() => limiter.admit(connection))));
  });
});

describe('[LIMITS] AddressLimiter', () => {
  const clock = new Clock();
  const limiterWith = (connectsPerSec: number, maxConnections: number) => {
    const counts = newLimitCounts();
    const settings = { connectsPerSec, maxConnections, maxUnjoined: 0 };
    return { counts, limiter: new AddressLimiter({ counts, now: clock.now }, settings) };
  };

  it('limits connects of one address, IPv6 by /64, without effect on others', () => {
    const { limiter, counts } = limiterWith(2, 0);
    for (const address of ['192.0.2.1', '2001:db8:1:2::1']) {
      limiter.admit(address);
      limiter.admit(address);
    }
    assert.deepEqual(refusalOf(() => limiter.admit('192.0.2.1'))?.details, { retryAfterMs: 500, limit: 2 });
    assert.ok(isRateLimited(refusalOf(() => limiter.admit('2001:db8:1:2:3::9'))));
    limiter.admit('192.0.2.2');
    limiter.admit('2001:db8:1:3::1');
    assert.equal(counts.address, 2);
    clock.ms += 500;
    limiter.admit('192.0.2.1');
  });

  it('keeps the buckets of a bounded number of addresses, and none of addresses idle for long', () => {
    const { limiter } = limiterWith(1, 0);
    const { buckets } = (limiter as unknown as { rate: { buckets: Map<string, unknown> } }).rate;
    for (let n = 0; n < 120_000; n++) limiter.admit(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
    assert.equal(buckets.size, 100_000);
    clock.ms += 2000;
    limiter.admit('192.0.2.1');
    assert.equal(buckets.size, 1);
  });

  it('limits the number of concurrent connections of an address', () => {
    const { limiter } = limiterWith(0, 2);
    limiter.connected('192.0.2.1');
    limiter.connected('192.0.2.1');
    assert.equal(refusalOf(() => limiter.admit('192.0.2.1'))?.code, 'at_capacity');
    limiter.admit('192.0.2.2');
    limiter.disconnected('192.0.2.1', false);
    limiter.admit('192.0.2.1');
  });
});

describe('[LIMITS] HandshakeAdmission', () => {
  /** A request in the form of engine.io, for long-polling (with its response) or for an upgrade. */
  const requestFrom = (address: string, polling = false) => {
    const [socket, res] = [new EventEmitter(), new EventEmitter()];
    const rawHeaders: string[] = [];
    const request = Object.assign(new EventEmitter(), {
      socket,
      address,
      rawHeaders,
      ...(polling && { res }),
    });
    return request as unknown as IncomingMessage & { res: EventEmitter };
  };
  const transportOf = (request: IncomingMessage) =>
    Object.assign(new EventEmitter(), { request, close: () => {} });
  const admissionWith = (maxConnections: number, perAddress = 0, handshakesPerSec = 0, maxUnjoined = 0) => {
    const addresses = new AddressLimiter(
      { counts: newLimitCounts(), now: () => 0 },
      { connectsPerSec: 0, maxConnections: perAddress, maxUnjoined },
    );
    const addressOf = (request: IncomingMessage) => (request as unknown as { address: string }).address;
    const queue =
      handshakesPerSec === 0
        ? undefined
        : new HandshakeQueue(
            { clock: new FakeClock() },
            { ratePerSec: handshakesPerSec, longestWaitMs: 10_000 },
          );
    const limitedAddressOf = (request: IncomingMessage) =>
      addressOf(request) === 'exempt' ? undefined : addressOf(request);
    const unjoined = new UnjoinedClients({ now: () => 0 }, { limit: 0 });
    return new HandshakeAdmission(
      {
        addresses,
        addressOf,
        limitedAddressOf,
        queue,
        unjoined,
        overShare: { hasTurn: () => true, served() {} },
      },
      { maxConnections },
    );
  };

  it('acquires a slot with the handshake, not only with its transport', () => {
    const admission = admissionWith(2);
    assert.equal(admission.admit(requestFrom('a')), undefined);
    const second = requestFrom('b', true);
    void admission.admit(second);
    assert.deepEqual(refusalOf(() => admission.admit(requestFrom('c')))?.details.limit, 2);
    // The client has disconnected before there was a transport; released only once.
    second.res.emit('close');
    second.res.emit('close');
    void admission.admit(requestFrom('c'));
    assert.equal(refusalOf(() => admission.admit(requestFrom('d')))?.code, 'at_capacity');
  });

  it('passes the slot to the transport until it closes', () => {
    for (const polling of [true, false]) {
      const admission = admissionWith(1, 1);
      const request = requestFrom('a', polling);
      void admission.admit(request);
      const transport = transportOf(request);
      admission.transportOpened(transport);
      (polling ? request.res : request.socket).emit('close');
      assert.equal(refusalOf(() => admission.admit(requestFrom('b')))?.code, 'at_capacity');
      transport.emit('close');
      void admission.admit(requestFrom('a'));
    }
  });

  it('counts by address, including waiting handshakes', async () => {
    const admission = admissionWith(0, 1, 1);
    assert.equal(admission.admit(requestFrom('a')), undefined);
    assert.equal(refusalOf(() => admission.admit(requestFrom('a')))?.code, 'at_capacity');
    const second = requestFrom('b');
    const turn = admission.admit(second);
    assert.ok(admission.isWaiting(second));
    second.socket.emit('close');
    assert.ok(!admission.isWaiting(second));
    await assert.rejects(turn!, ClientGoneError);
    void admission.admit(requestFrom('b'))?.catch(() => {});
  });

  it('releases the slot of an upgrade whose client closes its side while it waits, and destroys its socket', async () => {
    const waiting = admissionWith(2, 0, 1);
    void waiting.admit(requestFrom('a'));
    const request = requestFrom('b');
    let destroyed = 0;
    Object.assign(request.socket, { destroy: () => destroyed++ });
    const turn = waiting.admit(request);
    assert.equal(waiting.slotsInUse, 2);
    request.socket.emit('end');
    await assert.rejects(turn!, ClientGoneError);
    assert.deepEqual([waiting.slotsInUse, destroyed], [1, 1]);
  });

  it('limits the connections of an address that have not joined, until they join or close', () => {
    const admission = admissionWith(0, 0, 0, 2);
    const transports = ['a', 'a'].map((address) => {
      const request = requestFrom(address);
      void admission.admit(request);
      const transport = transportOf(request);
      admission.transportOpened(transport);
      return transport;
    });
    assert.equal(refusalOf(() => admission.admit(requestFrom('a')))?.details.limit, 2);
    void admission.admit(requestFrom('b'));
    for (let n = 0; n < 3; n++) void admission.admit(requestFrom('exempt'));
    admission.joined(transports[0]!);
    admission.joined(transports[0]!);
    void admission.admit(requestFrom('a'));
    assert.equal(refusalOf(() => admission.admit(requestFrom('a')))?.code, 'at_capacity');
    transports[0]!.emit('close');
    assert.equal(refusalOf(() => admission.admit(requestFrom('a')))?.code, 'at_capacity');
    transports[1]!.emit('close');
    void admission.admit(requestFrom('a'));
  });

  it('refuses all clients while the replica stops', () => {
    const admission = admissionWith(0);
    void admission.admit(requestFrom('a'));
    admission.stop();
    assert.equal(refusalOf(() => admission.admit(requestFrom('a')))?.code, 'shutting_down');
  });
});

describe('[LIMITS] UserConnections', () => {
  const settle = async () => {
    for (let n = 0; n < 5; n++) await Promise.resolve();
  };

  it('admits up to the limit, and releases a slot once', async () => {
    const set: number[] = [];
    const store = {
      set: async (_userId: string, connections: number) => void set.push(connections),
      elsewhere: async () => Promise.resolve(1),
      replace: async () => {},
      close: async () => {},
    };
    const counts = newLimitCounts();
    const connections = new UserConnections({ store, counts, log: silentLog }, { maxConnections: 2 });
    const release = await connections.acquireSlot('ann')!;
    await assert.rejects(connections.acquireSlot('ann')!, { code: 'at_capacity' });
    assert.equal(counts.userConnections, 1);
    release();
    release();
    await settle();
    assert.deepEqual(set, [1, 2, 1, 0]);
    await connections.acquireSlot('ann');
  });

  it('counts the connections of this replica while the store is unreachable', async () => {
    const unreachable = () => Promise.reject(new RefusalError('unavailable', 'unreachable'));
    const store = { set: unreachable, elsewhere: unreachable, replace: unreachable, close: async () => {} };
    const counts = newLimitCounts();
    const connections = new UserConnections({ store, counts, log: silentLog }, { maxConnections: 1 });
    const release = await connections.acquireSlot('ann')!;
    await assert.rejects(connections.acquireSlot('ann')!, { code: 'at_capacity' });
    release();
    await connections.acquireSlot('ann');
    connections.rewrite();
    await settle();
  });

  it('makes no call if there is no limit', () => {
    const store = null as never;
    const counts = newLimitCounts();
    const connections = new UserConnections({ store, counts, log: silentLog }, { maxConnections: 0 });
    assert.equal(connections.acquireSlot('ann'), undefined);
    connections.rewrite();
  });
});

describe('[LIMITS] the address of a client', () => {
  const request = (remoteAddress: string, forwarded?: string | string[]) =>
    ({
      socket: { remoteAddress },
      headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
    }) as unknown as IncomingMessage;
  const addressOf = (remoteAddress: string, forwarded?: string | string[], trusted = ['loopback']) =>
    new ClientAddresses(trusted, silentLog).of(request(remoteAddress, forwarded));

  it('is the TCP peer, with IPv4 as IPv4', () => {
    assert.equal(addressOf('192.0.2.1'), '192.0.2.1');
    assert.equal(addressOf('::ffff:192.0.2.1'), '192.0.2.1');
    assert.equal(addressOf('2001:db8::1'), '2001:db8::1');
  });

  it('is read from the header of a proxy on this machine only', () => {
    assert.equal(addressOf('192.0.2.1', '198.51.100.7'), '192.0.2.1');
    for (const proxy of ['127.0.0.1', '::ffff:127.0.0.1', '::1', '127.8.9.10'])
      assert.equal(addressOf(proxy, '198.51.100.7'), '198.51.100.7');
  });

  it('is read from the headers of the proxies in the settings', () => {
    const seen = (proxy: string, trusted: string[]) => addressOf(proxy, '198.51.100.7', trusted);
    assert.equal(seen('10.1.2.3', ['private']), '198.51.100.7');
    assert.equal(seen('10.1.2.3', ['10.1.0.0/16']), '198.51.100.7');
    assert.equal(seen('10.2.2.3', ['10.1.0.0/16', '2001:db8::/32']), '10.2.2.3');
    assert.equal(seen('2001:db8::5', ['10.1.0.0/16', '2001:db8::/32']), '198.51.100.7');
    assert.equal(seen('127.0.0.1', []), '127.0.0.1');
  });

  it('is the one seen by the nearest proxy, whatever the client put into the header', () => {
    assert.equal(addressOf('127.0.0.1', '203.0.113.5, 198.51.100.7'), '198.51.100.7');
    assert.equal(addressOf('127.0.0.1', '203.0.113.5, 198.51.100.7, 127.0.0.1'), '198.51.100.7');
    assert.equal(addressOf('127.0.0.1', 'rubbish'), '127.0.0.1');
    assert.equal(addressOf('127.0.0.1', '203.0.113.5, rubbish, ::1'), '::1');
    assert.equal(addressOf('127.0.0.1', ''), '127.0.0.1');
  });

  it('is found with a port, in brackets, in quotes, and beside empty items', () => {
    for (const [item, address] of [
      ['198.51.100.7:5678', '198.51.100.7'],
      ['"198.51.100.7"', '198.51.100.7'],
      ['"198.51.100.7:80"', '198.51.100.7'],
      ['[2001:db8::1]', '2001:db8::1'],
      ['[2001:db8::1]:443', '2001:db8::1'],
      ['"[2001:db8::1]:443"', '2001:db8::1'],
      ['[::ffff:198.51.100.7]:443', '198.51.100.7'],
      ['fe80::1%eth0', 'fe80::1'],
      ['2001:db8::1:443', '2001:db8::1:443'],
      ['198.51.100.7, ', '198.51.100.7'],
      [' , 198.51.100.7,, 127.0.0.1:99 ', '198.51.100.7'],
      ['203.0.113.5, 198.51.100.7:99', '198.51.100.7'],
    ] as const)
      assert.equal(addressOf('127.0.0.1', item), address, item);
    for (const item of [
      '198.51.100.7:',
      '198.51.100.7:123456',
      '[198.51.100.7',
      'host:80',
      'unknown',
      '"',
      '[]:1',
    ])
      assert.equal(addressOf('127.0.0.1', item), '127.0.0.1', item);
  });

  it('is warned of once if a trusted proxy sends something else', () => {
    const warned: Record<string, unknown>[] = [];
    const log = { warn: (message: string, fields?: object) => warned.push({ message, ...fields }) };
    const addresses = new ClientAddresses(['loopback'], log);
    addresses.of(request('192.0.2.1', 'rubbish'));
    addresses.of(request('127.0.0.1', '198.51.100.7:80, '));
    assert.deepEqual(warned, []);
    for (let n = 0; n < 3; n++) addresses.of(request('127.0.0.1', 'unknown'));
    assert.equal(warned.length, 1);
    const { item, proxy, setting } = warned[0]!;
    assert.deepEqual([item, proxy, setting], ['unknown', '127.0.0.1', 'server.trusted_proxies']);
  });
});
