import assert from 'node:assert/strict';
import { newQuotaCounts, type QuotaCounts } from '../../../server/limits/quota-counts.js';
import type { StoreMemory } from '../../../server/limits/store-memory.js';
import { positionGraceMs, type Retention } from '../../../server/log/broker.js';
import { silentLog } from '../../../server/logging/log.js';
import { fixedMemory } from '../../../server/storage/memory/fixed-memory.js';
import { HistoryMemory } from '../../../server/storage/memory/history-memory.js';
import { MemoryBroker } from '../../../server/storage/memory/memory-broker.js';
import { entry } from '../../contract/log/broker-contract.js';

describe('[P7.22] the memory of topics, keys and inboxes without Redis', () => {
  const memoryBytes = 2_000_000;
  let now = 1000;
  let counts: QuotaCounts;
  let lines: string[];
  let memory: HistoryMemory;
  let broker: MemoryBroker;
  let guard: StoreMemory;

  beforeEach(() => {
    counts = newQuotaCounts();
    lines = [];
    const log = { ...silentLog, warn: (message: string) => lines.push(message) };
    memory = new HistoryMemory({ log }, { limitBytes: memoryBytes });
    const retention: Retention = {
      historySize: 100,
      historyTtlMs: 1000,
      idempotencyMs: 1000,
      fullAt: 0,
    };
    const inbox = { ...retention, fullAt: 1000 };
    const retentionOf = (topic: string) => (topic.startsWith('$') ? inbox : retention);
    broker = new MemoryBroker({ retentionOf, now: () => now, memory });
    guard = fixedMemory({ memory, broker, counts, log }, { topics: { memoryBytes } });
  });
  afterEach(() => broker.close());

  const publish = async (userId: string, topic: string, key?: string, text = 'x') => {
    const message = entry(text, key, userId);
    const settle = guard.concerns({ topic, key }) ? guard.admit(userId, text.length) : undefined;
    await broker.append(topic, [message]);
    settle?.(true);
  };
  /** Publishes until it is refused. Returns the number of stored messages, and the code of the refusal. */
  const publishAll = async (userId: string, one: (n: number) => Parameters<typeof publish>) => {
    for (let n = 0; n < 100_000; n++)
      try {
        await publish(...one(n));
      } catch (error) {
        return { stored: n, code: (error as { code: string }).code };
      }
    throw new Error(`${userId} was never refused`);
  };

  const ways: Record<string, (n: number) => Parameters<typeof publish>> = {
    'new topics': (n) => ['eve', `e${n}`],
    'idempotency keys': (n) => ['eve', 'e', `k${n}`],
    'unread direct messages': (n) => ['eve', `$user/${n}`, undefined, 'x'.repeat(1000)],
  };
  for (const [what, one] of Object.entries(ways))
    it(`is refused to the user who fills it with ${what}, and left to the others`, async () => {
      await publish('ann', 'news');
      const { stored, code } = await publishAll('eve', one);
      assert.ok(stored > 500, `${stored}`);
      assert.equal(code, 'quota_exceeded');
      assert.ok(memory.fixedBytes < memoryBytes * 0.9);
      for (let n = 0; n < 1000; n++) await publish('ann', 'news');
      for (let n = 0; n < 5; n++) await publish('ann', `ann${n}`, `k${n}`);
      const more = await publishAll('eve', (n) => one(stored + n));
      assert.equal(more.code, 'quota_exceeded');
      assert.ok(more.stored < 1000 && memory.fixedBytes < memoryBytes * 0.9, `${more.stored}`);
      assert.equal(counts.memoryShare, 2);
      assert.deepEqual(lines, [
        'The memory of the logs is scarce: each user may add only a small share of what is left',
      ]);
    });

  it('leaves topics that exist to everybody when all of it is used up', async () => {
    await publish('ann', 'news');
    for (let n = 0; n < 40; n++) await publishAll(`eve${n}`, (i) => [`eve${n}`, `e${n}.${i}`]);
    await assert.rejects(publish('ann', 'other'), (error: { code: string }) =>
      ['quota_exceeded', 'unavailable'].includes(error.code),
    );
    await publish('ann', 'news');
    now += 1001 + positionGraceMs;
    await broker.ends(['news']);
    for (let n = 0; n < 40; n++) for (let i = 0; i < 500; i++) await broker.ends([`e${n}.${i}`]);
    await publish('ann', 'other').catch(() => {});
    await publish('ann', 'other');
  });

  it('is not taken by subscriptions to topics without a message', async () => {
    for (let n = 0; n < 5000; n++) {
      await broker.follow(`t${n}`);
      await broker.ends([`t${n}`]);
    }
    assert.equal(memory.bytes, 0);
    await publish('ann', 'other');
  });
});
