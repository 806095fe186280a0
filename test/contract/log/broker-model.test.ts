import fc from 'fast-check';
import assert from 'node:assert/strict';
import { MemoryBroker } from '../../../server/storage/memory/memory-broker.js';
import type { Broker, LogSlice, Retention } from '../../../server/log/broker.js';
import { TestRedis } from '../../support/redis.js';
import { redisBrokers } from '../../support/redis-brokers.js';

const historySize = 5;
const retention: Retention = { historySize, historyTtlMs: 60_000, idempotencyMs: 60_000, fullAt: 0 };

type Step =
  | { do: 'append'; keys: (string | undefined)[] }
  | { do: 'remove'; sequences: number[] }
  | { do: 'read'; after: number; limit: number; limitBytes: number }
  | { do: 'readLast'; limit: number; limitBytes: number; before: number | undefined }
  | { do: 'purge' };

const sequence = fc.nat(30);
const limitBytes = fc.integer({ min: 1, max: 30 });
const key = fc.option(fc.constantFrom('k', 'l', 'm', 'key with spaces 1:x'), { nil: undefined });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      keys: fc.array(key, { minLength: 1, maxLength: 8 }),
    }),
  },
  fc.record({ do: fc.constant('remove' as const), sequences: fc.uniqueArray(sequence, { maxLength: 4 }) }),
  fc.record({
    do: fc.constant('read' as const),
    after: sequence,
    limit: fc.integer({ min: 1, max: 8 }),
    limitBytes,
  }),
  fc.record({
    do: fc.constant('readLast' as const),
    limit: fc.integer({ min: 1, max: 8 }),
    limitBytes,
    before: fc.option(fc.integer({ min: 1, max: 30 }), { nil: undefined }),
  }),
  fc.record({ do: fc.constant('purge' as const) }),
);

/** A simple model of a log. */
class Model {
  sequence = 0;
  stored: { sequence: number; id: string }[] = [];
  readonly keys = new Map<string, { sequence: number; id: string }>();

  append(id: string, key: string | undefined): { sequence: number; id: string; duplicate: boolean } {
    const known = key === undefined ? undefined : this.keys.get(key);
    if (known !== undefined) return { ...known, duplicate: true };
    const item = { sequence: ++this.sequence, id };
    if (key !== undefined) this.keys.set(key, item);
    this.stored.push(item);
    return { ...item, duplicate: false };
  }
}

/** The first items of a list whose ids have this many bytes together, and at least one. */
function fitting(items: Model['stored'], limit: number): Model['stored'] {
  let bytes = 0;
  const end = items.findIndex(({ id }, i) => (bytes += id.length) > limit && i > 0);
  return end < 0 ? items : items.slice(0, end);
}

async function run(broker: Broker, topic: string, steps: readonly Step[]): Promise<void> {
  const model = new Model();
  let made = 0;
  const same = (slice: LogSlice, expected: Model['stored']) => {
    assert.deepEqual(
      slice.entries.map((item) => ({ sequence: item.sequence, id: item.entry.toString() })),
      expected,
    );
    assert.equal(slice.end.sequence, model.sequence);
    assert.equal(slice.end.firstSequence, model.stored[0]?.sequence ?? model.sequence + 1);
  };
  for (const one of steps) {
    switch (one.do) {
      case 'append': {
        const items = one.keys.map((itsKey) => ({ id: `id${++made}`, itsKey }));
        const receipts = await broker.append(
          topic,
          items.map(({ id, itsKey }) => ({
            id,
            entry: Buffer.from(id),
            ...(itsKey !== undefined && { key: itsKey }),
          })),
        );
        assert.deepEqual(
          receipts.map((receipt) => ({
            sequence: receipt.sequence,
            id: receipt.id,
            duplicate: receipt.duplicate,
          })),
          items.map(({ id, itsKey }) => model.append(id, itsKey)),
        );
        model.stored = model.stored.slice(-historySize);
        break;
      }
      case 'remove': {
        const gone = new Set(one.sequences);
        const left = model.stored.filter((item) => !gone.has(item.sequence));
        assert.equal(await broker.remove(topic, one.sequences), model.stored.length - left.length);
        model.stored = left;
        break;
      }
      case 'read':
        same(
          await broker.read(topic, one.after, one.limit, one.limitBytes),
          fitting(
            model.stored.filter((item) => item.sequence > one.after).slice(0, one.limit),
            one.limitBytes,
          ),
        );
        break;
      case 'readLast':
        same(
          await broker.readLast(topic, one.limit, one.limitBytes, one.before),
          fitting(
            model.stored
              .filter((item) => one.before === undefined || item.sequence < one.before)
              .slice(-one.limit)
              .reverse(),
            one.limitBytes,
          ).reverse(),
        );
        break;
      case 'purge':
        assert.equal(await broker.purge(topic), model.stored.length);
        model.stored = [];
        break;
    }
  }
}

describe('[LOG] a log behaves like its model under random operations (a failure prints its seed)', function () {
  this.timeout(120_000);
  let redis: TestRedis;
  before(async () => {
    redis = await TestRedis.start();
  });
  after(() => redis.stop());

  const check = async (broker: Broker) => {
    let topics = 0;
    const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 15 }), (steps) =>
      run(broker, `topic-${++topics}`, steps),
    );
    await fc.assert(property, { numRuns: 200 });
  };

  it('matches MemoryBroker', async () => {
    const broker = new MemoryBroker({ retentionOf: () => retention, now: Date.now });
    await check(broker);
    await broker.close();
  });

  it('matches RedisBroker', async () => {
    const fixture = await redisBrokers(redis);
    fixture.retention = retention;
    await check((await fixture.open())!);
    await fixture.close();
  });
});
