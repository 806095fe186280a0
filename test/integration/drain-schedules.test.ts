import assert from 'node:assert/strict';
import { DrainSchedule } from '../support/drain-schedule.js';

const firstSeed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
/** More by command: `SCHEDULES=20 npm test -- test/integration/drain-schedules.test.ts`. */
const count = Number(process.env['SCHEDULES'] ?? 1);

describe(`[P8] drains of three replicas in random schedules (SEED=${firstSeed})`, function () {
  this.timeout(300_000);

  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    it(`lose nothing, tell no loss and keep the order, whatever drains overlap (SEED=${seed})`, async () => {
      const schedule = new DrainSchedule(seed, 'orderly');
      assert.deepEqual(await schedule.run(), [], schedule.notes.join('\n'));
    });

    it(`lose nothing unsaid while replicas are killed and Redis fails, too (SEED=${seed})`, async () => {
      const schedule = new DrainSchedule(seed, 'rough');
      assert.deepEqual(await schedule.run(), [], schedule.notes.join('\n'));
    });
  }
});
