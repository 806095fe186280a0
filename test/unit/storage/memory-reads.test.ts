import assert from 'node:assert/strict';
import { MemoryBroker } from '../../../server/storage/memory/memory-broker.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('[L2] reads of logs in memory', () => {
  const retention = { historySize: 10, historyTtlMs: 60_000, idempotencyMs: 1000, fullAt: 0 };

  it('run at once while they are few, and in later turns of the event loop when they take long', async () => {
    const clock = new FakeClock();
    const broker = new MemoryBroker({
      retentionOf: () => retention,
      now: Date.now,
      clock,
    });
    let done = 0;
    /** As `missed` reads: one after the other, with nothing but promises in between. */
    const readMany = async () => {
      for (let n = 0; n < 20; n++) {
        await (n % 2 === 0 ? broker.read('t', 0, 1) : broker.readLast('t', 1));
        // What is done with each takes its time.
        clock.work(1);
        done++;
      }
    };
    const both = Promise.all([readMany(), readMany()]);
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(done > 0 && done <= 8, `${done} in the first turn`);
    for (let turns = 0; done < 40; turns++) {
      const before = done;
      await clock.runImmediates();
      assert.ok(done > before && done - before <= 8, `${done - before} in a turn`);
      assert.ok(turns < 100);
    }
    await both;
    await broker.close();
  });

  it('reject where something is thrown, also in a later turn, and those behind them go on', async () => {
    const clock = new FakeClock();
    let isBroken = false;
    const broker = new MemoryBroker({
      retentionOf: () => {
        if (isBroken) throw new Error('no retention');
        return retention;
      },
      now: Date.now,
      clock,
    });
    await broker.follow('broken');
    await broker.read('t', 0, 1);
    clock.work(10);
    const [later, behind] = [broker.read('broken', 0, 1), broker.read('t', 0, 1)];
    isBroken = true;
    await Promise.all([
      assert.rejects(later, /no retention/),
      behind,
      (async () => {
        await clock.runImmediates();
        await clock.runImmediates();
      })(),
    ]);
    await broker.close();
  });
});

describe('[P4.1] keys of logs in memory', () => {
  it('are known until the end of their window, however soon the history expires', async () => {
    let now = 1_700_000_000_000;
    const retention = { historySize: 10, historyTtlMs: 1000, idempotencyMs: 300_000, fullAt: 0 };
    const broker = new MemoryBroker({ retentionOf: () => retention, now: () => now });
    const append = async (key?: string) => {
      const item = { id: '00000000-0000-7000-8000-000000000001', entry: Buffer.from('"n":1') };
      return (await broker.append('t', [key === undefined ? item : { ...item, key, keyOwner: 'ann' }]))[0]!;
    };
    const first = await append('k');
    // One without a key does not bring the end of the log nearer.
    now += 1000;
    await append();
    now += 298_000;
    const again = await append('k');
    assert.deepEqual([again.duplicate, again.epoch, again.sequence], [true, first.epoch, first.sequence]);
    now += 362_000;
    assert.equal((await append('k')).duplicate, false);
    await broker.close();
  });
});
