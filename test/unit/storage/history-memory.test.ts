import assert from 'node:assert/strict';
import { RefusalError } from '../../../shared/errors.js';
import { positionGraceMs, type Retention } from '../../../server/log/broker.js';
import { silentLog } from '../../../server/logging/log.js';
import { HistoryMemory } from '../../../server/storage/memory/history-memory.js';
import { MemoryBroker } from '../../../server/storage/memory/memory-broker.js';
import { entry } from '../../contract/log/broker-contract.js';

describe('[P7.21] the limit of memory without Redis', () => {
  const limitBytes = 1_000_000;
  let now = 1000;
  let warnings: string[];
  let memory: HistoryMemory;
  let broker: MemoryBroker;
  let retention: Retention;
  const large = 'x'.repeat(10_000);

  beforeEach(() => {
    warnings = [];
    retention = { historySize: 10_000, historyTtlMs: 1000, idempotencyMs: 1000, fullAt: 0 };
    memory = new HistoryMemory(
      { log: { ...silentLog, warn: (message) => warnings.push(message) } },
      { limitBytes },
    );
    const retentionOf = (topic: string) =>
      topic.startsWith('$') ? { ...retention, fullAt: 1000 } : retention;
    broker = new MemoryBroker({ retentionOf, now: () => now, memory });
  });
  afterEach(() => broker.close());

  it('removes the oldest messages of the largest history, and says so once', async () => {
    await broker.append('small', [entry('kept')]);
    for (let i = 0; i < 300; i++) {
      await broker.append('large', [entry(large)]);
      assert.ok(memory.bytes < limitBytes + 20_000);
    }
    const { end, entries } = await broker.read('large', 0, 1000);
    assert.deepEqual([end.sequence, entries.at(-1)!.sequence], [300, 300]);
    assert.ok(entries.length > 50 && entries.length < 100, `${entries.length}`);
    // A reader at an earlier position is told that it has missed something: its position is before the first.
    assert.equal(end.firstSequence, 300 - entries.length + 1);
    assert.equal((await broker.read('small', 0, 10)).entries.length, 1);
    assert.equal(warnings.length, 1);
    assert.ok(memory.removed > 200);
  });

  it('keeps unread direct messages, and refuses what finds no room beside them', async () => {
    let refusals = 0;
    for (let i = 0; i < 200; i++)
      await broker.append('$user/ann', [entry(large)]).catch((error: { code: string }) => {
        assert.equal(error.code, 'unavailable');
        refusals++;
      });
    assert.ok(refusals > 50 && memory.bytes < limitBytes + 20_000);
    assert.equal((await broker.read('$user/ann', 0, 1000)).entries.length, 200 - refusals);
    await assert.rejects(broker.append('news', [entry('a')]), { code: 'unavailable' });
    await broker.follow('unknown');
    // Subscribing is possible.
    assert.equal((await broker.ends(['unknown']))[0]!.sequence, 0);
    await broker.purge('$user/ann');
    now += 1000;
    assert.equal((await broker.append('news', [entry('a')]))[0]!.sequence, 1);
  });

  it('bounds topics and keys without content too', async () => {
    let refusals = 0;
    for (let i = 0; i < 2000; i++) {
      await broker.append(`t${i}`, [entry('', `k${i}`)]).catch(() => refusals++);
      await broker.follow(`f${i}`);
      await broker.read(`f${i}`, 0, 1).catch(() => refusals++);
    }
    assert.ok(refusals > 0 && memory.bytes < limitBytes + 20_000);
  });

  it('is not used by names that are only looked at, or subscribed to and left', async () => {
    const noNewTopic = () => new RefusalError('quota_exceeded', 'no more topics');
    for (let i = 0; i < 1000; i++) {
      await broker.read(`r${i}`, 0, 1);
      await broker.readLast(`l${i}`, 1);
      await broker.remove(`d${i}`, [1]);
      await broker.purge(`p${i}`);
      await broker.append(`n${i}`, [{ ...entry('a'), noNewTopic }]);
      await broker.follow(`f${i}`);
      await broker.ends([`f${i}`, `e${i}`]);
      await broker.unfollow(`f${i}`);
    }
    assert.equal(memory.bytes, 0);
  });

  it('lets a position before the first message be valid until messages after it are forgotten', async () => {
    const [looked] = await broker.ends(['t']);
    await broker.follow('other');
    await broker.ends(['other']);
    const [stored] = await broker.append('t', [entry('a')]);
    assert.deepEqual([stored!.epoch, stored!.sequence], [looked!.epoch, 1]);
    now += 1000 + positionGraceMs;
    const [forgotten] = await broker.ends(['t']);
    assert.notEqual(forgotten!.epoch, looked!.epoch);
    assert.deepEqual([forgotten!.sequence, forgotten!.previous], [0, []]);
    // A log that is followed all the time is still the same one.
    assert.equal((await broker.ends(['other']))[0]!.epoch, looked!.epoch);
    const [again] = await broker.append('t', [entry('b')]);
    assert.deepEqual([again!.epoch, again!.sequence], [forgotten!.epoch, 1]);
  });

  it('counts what it holds, whatever happens to it', async () => {
    const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e6));
    let state = seed;
    const below = (n: number) => (state = (state * 48_271 + 1) % 2_147_483_647) % n;
    retention = { ...retention, historySize: 5 };
    for (let i = 0; i < 2000; i++) {
      const topic = `${below(4) === 0 ? '$' : ''}t${below(6)}`;
      const what = below(10);
      if (what < 6)
        await broker.append(topic, [entry('x'.repeat(below(5000)), `k${below(9)}`)]).catch(() => {});
      else if (what === 6) await broker.remove(topic, [below(50)]);
      else if (what === 7) await broker.purge(topic);
      else if (what === 8) {
        await broker.readLast(topic, 3).catch(() => {});
        await (below(2) === 0 ? broker.follow(topic) : broker.unfollow(topic));
      } else now += below(3000) * below(40);
      assert.ok(memory.bytes >= 0, `seed ${seed}`);
    }
    await broker.close();
    assert.equal(memory.bytes, 0, `seed ${seed}`);
  });
});
