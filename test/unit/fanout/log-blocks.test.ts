import assert from 'node:assert/strict';
import { LogBlocks } from '../../../server/fanout/log-blocks.js';
import { encodeEntry } from '../../../server/log/entry.js';
import type { Position } from '../../../shared/position.js';
import { MemoryBroker } from '../../../server/storage/memory/memory-broker.js';

const retention = { historySize: 1000, historyTtlMs: 60_000, idempotencyMs: 60_000, fullAt: 0 };

describe('[P2] LogBlocks', () => {
  let broker: MemoryBroker;
  let reads: number;
  let written: Position;

  beforeEach(async () => {
    broker = new MemoryBroker({ retentionOf: () => retention, now: Date.now });
    reads = 0;
    const read = broker.read.bind(broker);
    broker.read = (...asked) => {
      reads++;
      return read(...asked);
    };
    for (let n = 0; n < 150; n++) {
      const id = `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`;
      const message = { id, topic: 't', attachments: [], sender: null, timestamp: 1_760_000_000_000 };
      // The block in the middle has large messages, and one that is larger than a block.
      const size = n === 100 ? 300_000 : n > 70 && n < 120 ? 60_000 : 10;
      await broker.append('t', [
        { id, entry: encodeEntry({ ...message, payloadJson: JSON.stringify('x'.repeat(size)) }) },
      ]);
    }
    written = (await broker.ends(['t']))[0]!;
  });
  afterEach(() => broker.close());

  const walk = async (blocks: LogBlocks, from: number) => {
    const sequences: number[] = [];
    for (let at = from; at < 150;) {
      const { batch, lostUpTo } = await blocks.next('t', at, written);
      assert.equal(lostUpTo, undefined);
      assert.ok(batch!.count === 1 || batch!.bytes < 300_000, `${batch!.bytes} bytes`);
      for (let n = 1; n <= batch!.count; n++) sequences.push(at + n);
      assert.equal(batch!.lastSequence, at + batch!.count);
      at = batch!.lastSequence;
    }
    return sequences;
  };
  const after = (from: number) => Array.from({ length: 150 - from }, (_, i) => from + i + 1);

  it('return every message, large ones in smaller blocks', async () => {
    for (const from of [0, 1, 64, 69, 99, 100, 119, 149])
      assert.deepEqual(await walk(new LogBlocks(broker, 0), from), after(from));
  });

  it('read blocks of large messages once for readers that follow each other', async () => {
    const blocks = new LogBlocks(broker, 100_000_000);
    await walk(blocks, 0);
    const first = reads;
    assert.deepEqual(await walk(blocks, 0), after(0));
    // Only the last block, which is not complete yet, is read again.
    assert.equal(reads, first + 1);
  });

  it('forget the blocks of one topic, and keep those of others', async () => {
    const blocks = new LogBlocks(broker, 100_000_000);
    await walk(blocks, 0);
    const first = reads;
    blocks.forget('u');
    await blocks.next('t', 0, written);
    assert.equal(reads, first, 'they are kept');
    for (let again = 1; again <= 2; again++) {
      blocks.forget('t');
      await blocks.next('t', 0, written);
      assert.equal(reads, first + again, 'the log is read again');
    }
  });

  it('report a hole inside the log, wherever it is in a block, and also the second time', async () => {
    await broker.remove('t', [2, 3, 64, 65, 100, 150]);
    const blocks = new LogBlocks(broker, 100_000_000);
    for (let again = 0; again < 2; again++) {
      const lost: string[] = [];
      const sequences: number[] = [];
      for (let at = 0; at < 150;) {
        const { batch, lostUpTo } = await blocks.next('t', at, written);
        if (lostUpTo !== undefined) {
          lost.push(`${at + 1}-${lostUpTo.sequence}`);
          at = lostUpTo.sequence;
        }
        for (let n = 1; n <= (batch?.count ?? 0); n++) sequences.push(at + n);
        at = batch?.lastSequence ?? at;
      }
      assert.deepEqual(lost, ['2-3', '64-64', '65-65', '100-100', '150-150']);
      assert.equal(sequences.length, 144);
    }
  });
});
