import assert from 'node:assert/strict';
import type { Retention } from '../../../server/log/broker.js';
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
    await assert.rejects(broker.ends(['unknown']), { code: 'unavailable' });
    await broker.purge('$user/ann');
    now += 1000;
    assert.equal((await broker.append('news', [entry('a')]))[0]!.sequence, 1);
  });

  it('bounds topics and keys without content too', async () => {
    let refusals = 0;
    for (let i = 0; i < 2000; i++) {
      await broker.append(`t${i}`, [entry('', `k${i}`)]).catch(() => refusals++);
      await broker.read(`r${i}`, 0, 1).catch(() => refusals++);
    }
    assert.ok(refusals > 0 && memory.bytes < limitBytes + 20_000);
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
      else if (what === 8) await broker.readLast(topic, 3).catch(() => {});
      else now += below(3000) * below(40);
      assert.ok(memory.bytes >= 0, `seed ${seed}`);
    }
    await broker.close();
    assert.equal(memory.bytes, 0, `seed ${seed}`);
  });
});
