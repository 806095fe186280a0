import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { FaultProxy } from '../../../bench/chaos/faults/fault-proxy.js';
import type { ReplicaRecord } from '../../../server/cluster/replica-differences.js';
import { silentLog } from '../../../server/logging/log.js';
import { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { Closing } from '../../support/closing.js';
import { redisReplica } from '../../support/redis-replica.js';
import { TestRedis } from '../../support/redis.js';
import { until } from '../../support/wait.js';

/** Long enough that a loaded machine does not miss it. */
const shortLeaseMs = 1500;
/** Longer than anything else takes. */
const longLeaseMs = 30_000;
const hourMs = 3_600_000;

describe('the registry of replicas', function () {
  this.timeout(60_000);
  const closing = new Closing();
  let redis: TestRedis;
  const open = async (id: string, name = id, leaseMs = shortLeaseMs) => {
    const path = await FaultProxy.start(redis.port);
    const link = new RedisLink(
      { log: silentLog },
      { url: `redis://127.0.0.1:${path.port}`, commandTimeoutMs: 1000, stallLimitMs: 5000 },
    );
    const replica = redisReplica(link, id, { heartbeatMs: 50, leaseMs, name });
    const { registry } = replica;
    const departed = new Set<string>();
    registry.onBeat((beat) => beat.departed.forEach((other) => departed.add(other)));
    closing.add(async () => {
      await replica.close();
      await link.close();
      await path.stop();
    });
    link.start();
    assert.ok(await link.whenUp(30_000));
    await registry.beat();
    const isLive = (other: string) => registry.latest.live.includes(other);
    return { registry, link, path, departed, isLive, call: (...words: string[]) => link.call<number>(words) };
  };
  before(async () => {
    redis = await TestRedis.start();
  });
  after(() => redis.stop());
  beforeEach(async () => void (await redis.command('FLUSHALL')));
  afterEach(() => closing.close());

  it('ends the lease of a replica that sends no heartbeat, and gives it a new one when it returns', async () => {
    const [a, b] = [await open('a'), await open('b')];
    await until(() => a.isLive('b'), 'both are live');
    let wasAway = false;
    b.registry.onBeat(({ isSteady }) => (wasAway ||= !isSteady));
    b.path.state.isHeld = true;
    await until(() => a.departed.has('b') && !a.isLive('b'), 'the lease ends');
    b.path.heal();
    await until(() => a.isLive('b') && wasAway, 'it is live again, and knows that it was not');
    assert.deepEqual(a.registry.latest.departed, []);
  });

  it('shows by its heartbeats that Redis has lost writes, and only then', async () => {
    const found: boolean[] = [];
    const replicas = [await open('a'), await open('b')];
    for (const { registry } of replicas) registry.losses.onLoss(({ isEmpty }) => found.push(isEmpty));
    const count = async () => Number((await redis.command('INCRBY rtc:replicas:beats 0'))?.slice(1) ?? 0);
    await redis.command('SET rtc:replicas:beats 1000');
    await until(async () => (await count()) > 1010, 'both have heartbeats');
    assert.deepEqual(found, []);
    await redis.command('SET rtc:replicas:beats 500');
    await until(() => found.length === 2, 'both have found it');
    assert.deepEqual(found, [false, false]);
    await redis.command('FLUSHALL');
    await until(() => found.some(Boolean), 'one has found that Redis is empty');
  });

  it('takes no replica for departed because the list is lost', async () => {
    const [a, b] = [await open('a'), await open('b')];
    for (const lost of [
      'DEL rtc:replicas:leases',
      'DEL rtc:replicas',
      'DEL rtc:replicas:records',
      'FLUSHALL',
    ]) {
      await redis.command(lost);
      await sleep(shortLeaseMs / 2);
      await until(() => a.isLive('b') && b.isLive('a'), `both are live after ${lost}`);
    }
    assert.deepEqual([...a.departed, ...b.departed], []);
  });

  for (const [direction, by] of [
    ['forward', -hourMs],
    ['back', hourMs],
  ] as const)
    it(`takes no replica for departed because the clock of Redis jumps ${direction}, and ends leases afterwards`, async () => {
      const [a, b, c] = [await open('a'), await open('b'), await open('c')];
      await until(() => a.isLive('b') && a.isLive('c'), 'all are live');
      // One step, as the clock of another Redis is.
      const shift = ['rtc:replicas', 'rtc:replicas:leases'].flatMap((key) =>
        ['a', 'b', 'c'].map((id) => `redis.call('ZINCRBY', '${key}', ${by}, '${id}')`),
      );
      await a.call('EVAL', `${shift.join('; ')} return 1`, '0');
      await sleep(shortLeaseMs / 2);
      await until(() => a.isLive('b') && b.isLive('a'), 'all stay');
      assert.deepEqual([...a.departed, ...b.departed], []);
      c.path.state.isHeld = true;
      await until(() => a.departed.has('c'), 'one that is silent departs');
      c.path.heal();
    });

  it('gives a name to a new process at once when the old one has ended', async () => {
    const [a, old] = [await open('a'), await open('w~1', 'w', longLeaseMs)];
    await until(() => a.isLive('w~1'), 'the old one is live');
    await old.link.close();
    await until(async () => (await a.call('PUBLISH', 'rtc:bus:w~1', '{}')) === 0, 'its connection is gone');
    const next = await open('w~2', 'w', longLeaseMs);
    const from = performance.now();
    assert.equal(await next.registry.claimName(), undefined);
    assert.ok(performance.now() - from < longLeaseMs / 2, 'it does not wait for the lease');
    await until(() => a.departed.has('w~1') && a.isLive('w~2'), 'the old one departs');
  });

  it('gives a name to nobody while a process with it is live', async () => {
    await open('w~1', 'w');
    const second = await open('w~2', 'w');
    assert.equal((await second.registry.claimName())?.id, 'w~1');
    const other = await open('v~1', 'v');
    assert.equal(await other.registry.claimName(), undefined);
  });

  it('gives the name of a process that stands still when its lease has ended', async () => {
    const first = await open('w~1', 'w');
    first.path.state.isHeld = true;
    const second = await open('w~2', 'w');
    assert.equal(await second.registry.claimName(), undefined);
    assert.ok(!second.isLive('w~1'));
    first.path.heal();
    await until(() => second.isLive('w~1') && first.isLive('w~2'), 'both go on under their own ids');
  });

  it('gives the name of a replica of version 0.1 only when that has ended', async () => {
    const a = await open('a');
    const beat = () =>
      a.call(
        'EVAL',
        "local t = redis.call('TIME'); return redis.call('ZADD', 'rtc:replicas', t[1] * 1000 + math.floor(t[2] / 1000), 'w')",
        '0',
      );
    const old = await closing.started(FaultProxy.start(redis.port));
    const subscriber = new RedisLink(
      { log: silentLog },
      { url: `redis://127.0.0.1:${old.port}`, commandTimeoutMs: 1000, stallLimitMs: 5000 },
    );
    closing.add(() => subscriber.close());
    subscriber.start();
    assert.ok(await subscriber.whenUp(5000));
    await subscriber.subscribe('rtc:bus:w', () => {});
    await beat();
    const timer = setInterval(() => void beat().catch(() => {}), 50);
    const next = await open('w~2', 'w');
    try {
      assert.equal((await next.registry.claimName())?.id, 'w');
    } finally {
      clearInterval(timer);
    }
    await subscriber.close();
    assert.equal(await next.registry.claimName(), undefined);
  });

  it('shows the records of the other replicas each time others are live', async () => {
    const a = await open('a');
    const seen: string[] = [];
    a.registry.onOthers((others: readonly ReplicaRecord[]) =>
      seen.push(
        others.map(({ id, record }) => `${id} ${(JSON.parse(record!) as { name: string }).name}`).join(', '),
      ),
    );
    await open('b~1', 'b');
    await until(() => seen.at(-1) === 'b~1 b', 'the second one is shown');
    await open('c~1', 'c');
    await until(() => seen.at(-1) === 'b~1 b, c~1 c', 'the third one is shown');
  });
});
