import assert from 'node:assert/strict';
import { TurnsOverShare } from '../../../server/gateway/handshake/turns-over-share.js';

describe('[LIMITS] clients of a user who has more than its share of unfinished messages', () => {
  let slept: number[];
  let now: number;
  let over: string[];
  let wake: (() => void)[];
  const turns = () =>
    new TurnsOverShare({
      clock: {
        now: () => now,
        sleep: (ms) => {
          slept.push(ms);
          return new Promise((resolve) => wake.push(resolve));
        },
      },
      isOver: (userId) => over.includes(userId),
    });
  beforeEach(() => {
    slept = [];
    wake = [];
    now = 1000;
    over = ['mallory'];
  });

  it('join one after the other, and those of others at once', async () => {
    const { wait } = turns();
    const joining = [wait('mallory'), wait('mallory'), wait('mallory')];
    assert.equal(wait('ann'), undefined);
    assert.deepEqual(slept, [25, 50, 75]);
    now += 50;
    wake.slice(0, 2).forEach((run) => run());
    await Promise.all(joining.slice(0, 2));
    void wait('mallory');
    assert.equal(slept.at(-1), 50, 'behind the one that still waits');
    wake.forEach((run) => run());
    await joining[2];
    await new Promise(setImmediate);
    void wait('mallory');
    assert.equal(slept.at(-1), 25, 'nobody waits any more');
    over = [];
    assert.equal(wait('mallory'), undefined);
  });

  it('wait for five seconds at most', () => {
    const { wait } = turns();
    for (let n = 0; n < 300; n++) void wait('mallory');
    assert.equal(Math.max(...slept), 5000);
  });
});
