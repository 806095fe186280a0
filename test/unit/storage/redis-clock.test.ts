import assert from 'node:assert/strict';
import { newMessageIds } from '../../../server/log/message-ids.js';
import { readTime, RedisClock } from '../../../server/storage/redis/redis-clock.js';

describe('[LOG] the time of messages', () => {
  let monotonic = 0;
  let clock: RedisClock;
  beforeEach(() => {
    monotonic = 1000;
    clock = new RedisClock(
      () => monotonic,
      () => 5_000_000,
    );
  });
  /** Redis answers with its time, which was read in the middle of the round trip. */
  const measure = (redisMs: number, roundTripMs: number) => {
    const sentAt = monotonic;
    monotonic += roundTripMs;
    clock.measured(redisMs, sentAt, monotonic);
  };

  it('is that of the machine until Redis has answered, then that of Redis, hours away', () => {
    assert.equal(clock.now(), 5_000_000);
    measure(9_000_000, 10);
    assert.equal(clock.now(), 9_000_005);
    monotonic += 1000;
    assert.equal(clock.now(), 9_001_005);
    measure(1_000_000, 10);
    assert.equal(clock.now(), 1_000_005);
  });

  it('does not go back by the error of a measurement', () => {
    measure(9_000_000, 10);
    const before = clock.now();
    measure(9_000_000, 2);
    assert.equal(clock.now(), before);
    monotonic += 100;
    assert.ok(clock.now() > before);
  });

  it('is kept while measurements allow it: a slow answer makes it no less exact', () => {
    measure(9_000_000, 2);
    const before = clock.now();
    measure(9_000_100, 400);
    assert.equal(clock.now(), before + 400);
  });

  it('moves to the edge of the range, not into its middle, if an answer that came at once was read late', () => {
    measure(9_000_000, 2);
    // The estimate is half a millisecond above what the second answer allows.
    monotonic += 1000;
    const sentAt = monotonic;
    monotonic += 400;
    clock.measured(9_001_000.5, sentAt, monotonic);
    assert.equal(clock.now(), 9_001_401);
  });

  it('is asked for again until an answer is quick, within fifty milliseconds', async () => {
    const redisMs = () => monotonic + 9_000_000;
    const roundTripsMs = [30, 4, 1, 1];
    const call = async () => {
      const ms = redisMs();
      monotonic += roundTripsMs.shift()!;
      return [String(Math.floor(ms / 1000)), String((ms % 1000) * 1000)];
    };
    await clock.measure(call);
    assert.deepEqual(roundTripsMs, [1]);
    assert.ok(Math.abs(clock.now() - redisMs()) <= 1, `${clock.now()} instead of ${redisMs()}`);
    roundTripsMs.splice(0, 1, 60, 1);
    await clock.measure(call);
    assert.deepEqual(roundTripsMs, [1]);
  });

  it('goes on from its last value for ids if the clock of Redis is set back, at half its speed, the same on all replicas', () => {
    const times = () => [clock, other].map(({ idTime }) => idTime());
    const other = new RedisClock(
      () => monotonic,
      () => 7_000_000,
    );
    const measureBoth = (redisMs: number) => {
      for (const one of [clock, other]) one.measured(redisMs, monotonic, monotonic);
    };
    measureBoth(9_000_000);
    monotonic += 60_000;
    measureBoth(9_060_000);
    // Nobody has asked for it yet on either.
    monotonic += 1000;
    measureBoth(9_001_000);
    assert.deepEqual(times(), [9_061_000, 9_061_000]);
    assert.equal(clock.now(), 9_001_000);
    monotonic += 1000;
    assert.deepEqual(times(), [9_061_500, 9_061_500]);
    measureBoth(9_002_000);
    monotonic += 200_000;
    assert.deepEqual(times(), [9_202_000, 9_202_000], 'the clock has caught up');
  });

  it('of the machine, before Redis has answered, does not count for ids afterwards', () => {
    assert.equal(clock.idTime(), 5_000_000);
    measure(1_000_000, 2);
    assert.equal(clock.idTime(), 1_000_001);
  });

  it('is read from seconds and microseconds', () => {
    assert.equal(readTime(['1760000000', '500000']), 1_760_000_000_500);
  });

  it('makes ascending ids, in one millisecond too', () => {
    let now = 1_760_000_000_000;
    const newId = newMessageIds(() => now);
    const ids = Array.from({ length: 1000 }, (_, n) => {
      if (n % 100 === 0) now++;
      return newId();
    });
    assert.deepEqual([...ids].sort(), ids);
    assert.equal(new Set(ids).size, 1000);
    assert.match(ids[0]!, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});
