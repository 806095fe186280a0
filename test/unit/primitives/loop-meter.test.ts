import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { newLoopMeter } from '../../../server/primitives/loop-meter.js';

describe('the meter of the event loop', () => {
  it('tells an idle process from a busy one, and measures from call to call', async () => {
    const meter = newLoopMeter();
    // On a crowded machine an idle process may look busy for a moment.
    for (let attempts = 20; ; attempts--) {
      meter();
      await sleep(100);
      const idle = meter();
      for (const until = performance.now() + 100; performance.now() < until;);
      const busy = meter();
      for (const value of [idle, busy]) assert.ok(value >= 0 && value <= 1, `${value}`);
      // The loop was busy all the time, however little the machine gave to it.
      assert.ok(busy >= 0.45, `${busy}`);
      if (idle < 0.3) return;
      assert.ok(attempts > 0, `${idle} and ${busy}`);
    }
  });
});
