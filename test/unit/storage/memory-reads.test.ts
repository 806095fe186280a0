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
});
