import { deepEqual, equal, match } from 'node:assert/strict';
import type { FireOutcome } from '../../../bench/fire/measure-fire.js';
import { plantIn, plants } from '../../../bench/fire/plant.js';
import { isFlawless, linesOf, reportOf } from '../../../bench/fire/report.js';
import { merged } from '../../../bench/fire/results.js';
import { deliveriesBetween, StreamCheck, sumOf } from '../../../bench/fire/stream-check.js';

function checkOf(...numbers: readonly number[]): StreamCheck {
  const check = new StreamCheck();
  for (const n of numbers) check.receive(n);
  return check;
}

const flawless = { expected: 6, lost: 0, doubled: 0, disordered: 0 };

describe('the check of what a client received under fire', () => {
  it('finds nothing where each number has come once and in order', () => {
    deepEqual(deliveriesBetween(checkOf(0, 1, 2, 3, 4, 5), 0, 6), flawless);
  });

  it('finds what is missing at the beginning, in between, and at the end', () => {
    deepEqual(checkOf(1, 2, 4).lost(7), [0, 3, 5, 6]);
    deepEqual(new StreamCheck().lost(2), [0, 1], 'of a client that has received nothing');
  });

  it('tells a number that comes late from one that comes again', () => {
    const check = checkOf(0, 2, 1, 3, 3, 1);
    deepEqual([check.disordered, check.doubled, check.lost(4)], [[1], [3, 1], []]);
  });

  it('counts each part of a run by its own numbers', () => {
    const check = checkOf(0, 2, 3, 3, 5, 4);
    deepEqual(deliveriesBetween(check, 0, 3), { expected: 3, lost: 1, doubled: 0, disordered: 0 });
    deepEqual(deliveriesBetween(check, 3, 7), { expected: 4, lost: 1, doubled: 1, disordered: 1 });
    deepEqual(sumOf([deliveriesBetween(check, 0, 3), deliveriesBetween(check, 3, 7)]), {
      expected: 7,
      lost: 2,
      doubled: 1,
      disordered: 1,
    });
  });

  const found = { loss: 'lost', double: 'doubled', disorder: 'disordered' } as const;
  for (const plant of plants)
    it(`finds a planted fault and nothing else: ${plant}`, () => {
      const check = new StreamCheck();
      const receive = plantIn(plant, (n) => check.receive(n));
      for (let n = 0; n < 6; n++) receive(n);
      deepEqual(deliveriesBetween(check, 0, 6), { ...flawless, [found[plant]]: 1 });
    });
});

describe('the report of reconnection under fire', () => {
  const outcome: FireOutcome = {
    side: 'rtc',
    plan: {
      clients: 2,
      processes: 1,
      topics: 1,
      ratePerSec: 2,
      secs: 1,
      cutEveryMs: 1000,
      cutMs: 100,
      restart: true,
      plant: undefined,
    },
    connectSecs: 1,
    ready: 2,
    fire: { ...flawless, expected: 300_000 },
    rolling: flawless,
    returns: [
      returned({ endedBy: 'network', leftAt: 500, replayMs: 7, returnMs: 9 }),
      returned({ endedBy: 'network', leftAt: 1500, replayMs: 777, returnMs: 888 }),
      returned({ endedBy: 'server', leftAt: 2000, backAt: 2600, returnMs: 11 }),
    ],
    restarts: [{ termAt: 1000, endedAt: 6000, readyAt: 6500 }],
    cores: { servers: 0.5, redis: 0.1, clients: 0.7, others: 0 },
    memoryBytes: { before: 2 ** 27, peak: 2 ** 28 },
    clientDelayMs: 3,
  };

  function returned(values: Partial<FireOutcome['returns'][number]>): FireOutcome['returns'][number] {
    return {
      endedBy: 'network',
      leftAt: 0,
      backAt: 0,
      refused: 0,
      isRecovered: true,
      missed: 4,
      returnMs: 0,
      replayMs: 0,
      ...values,
    };
  }

  it('keeps the returns after a cut apart from those of clients that a replica let go', () => {
    const text = reportOf([linesOf(outcome)]);
    match(text, /\| 7 \/ 7 \/ 7 \/ 7 \| 9 \/ 9 \/ 9 \/ 9 \|/);
    match(text, /\| 0 \| 5\.0 s \| 5\.5 s \| 1 \| 1\.6 s, 1\.6 s, 1\.6 s \| 600 .* \| 11 /);
    equal(text.includes('777'), false, 'a cut during the restart');
  });

  it('does not round a loss away', () => {
    const text = reportOf([linesOf({ ...outcome, fire: { ...flawless, expected: 300_000, lost: 1 } })]);
    match(text, /\| 300,000 \| 99\.999 % \| 1 \|/);
  });

  it('is flawless only if nothing is lost, doubled or out of order, and everybody is back', () => {
    equal(isFlawless(outcome), true);
    for (const fault of ['lost', 'doubled', 'disordered'])
      for (const part of ['fire', 'rolling'])
        equal(isFlawless({ ...outcome, [part]: { ...flawless, [fault]: 1 } }), false, `${fault} ${part}`);
    equal(isFlawless({ ...outcome, ready: 1 }), false);
  });
  it('keeps sides that were measured before in the same way, and no others', () => {
    const lines = (side: FireOutcome['side'], use: string) => ({ side, cut: '', use, restart: [] });
    const before = { commit: 'a', plan: 'p', sides: [lines('plain', 'old'), lines('rtc', 'old')] };
    const after = { commit: 'a', plan: 'p', sides: [lines('plain', 'new')] };
    const order = ['rtc', 'plain'] as const;
    deepEqual(merged(before, after, order).sides, [lines('rtc', 'old'), lines('plain', 'new')]);
    for (const earlier of [undefined, { ...before, commit: 'b' }, { ...before, plan: 'q' }])
      deepEqual(merged(earlier, after, order), after);
  });
});
