import assert from 'node:assert/strict';
import { InboundControl } from '../../../server/gateway/inbound/inbound-control.js';
import type { InboundBudget } from '../../../server/gateway/inbound/inbound-budget.js';
import { BodyBudget } from '../../../server/limits/body-budget.js';
import { newLimitCounts } from '../../../server/limits/limit-counts.js';
import { FakeClock } from '../../support/fake-clock.js';
import { inboundSettings } from '../../support/inbound-settings.js';

const frame = Buffer.from('42["x"]');
/** A busy transport takes a turn alone: the work that its commands cause comes later in the turn. */
const busyMs = 5;

describe('[LIMITS] transports that share the event loop', () => {
  let clock: FakeClock;
  let control: InboundControl;

  beforeEach(() => {
    clock = new FakeClock();
    control = new InboundControl(
      {
        clock,
        connections: { isPressed: false, isAccepting: false },
        bodies: new BodyBudget({ counts: newLimitCounts(), clock }, { limitBytes: 400_000 }),
        callerOf: () => 'ann',
        closeTransport: () => assert.fail('nothing is closed'),
      },
      inboundSettings({}),
    );
  });

  const transport = (onRead: (budget: InboundBudget) => void = () => {}) => {
    const made = { isRead: true };
    const budget = control.newBudget(
      {
        stop: () => (made.isRead = false),
        start: () => {
          made.isRead = true;
          onRead(budget);
        },
        limitFrames: () => {},
      },
      'json',
    );
    return Object.assign(made, { budget });
  };
  const send = (budget: InboundBudget, frames: number) => {
    for (let n = 0; n < frames; n++) budget.admitFrame(frame, false);
  };
  /** One that always has more to read than it may. */
  const busyTransport = () =>
    transport((budget) => {
      clock.work(busyMs);
      send(budget, 512);
    });
  const turn = () => clock.runImmediates();

  it('do not wait behind busy ones if they have sent little in many turns', async () => {
    for (let n = 0; n < 12; n++) send(busyTransport().budget, 512);
    const quiet = transport();
    let longest = 0;
    for (let n = 0, unread = 0; n < 300; n++) {
      unread = quiet.isRead ? 0 : unread + 1;
      longest = Math.max(longest, unread);
      if (quiet.isRead) send(quiet.budget, 1);
      await turn();
    }
    assert.ok(longest > 0, 'it has to wait sometimes');
    assert.ok(longest <= 2, `it has waited for ${longest} turns`);
  });

  it('all go on, also where many quiet ones wait', async () => {
    const quiet = Array.from({ length: 200 }, () =>
      transport((budget) => (clock.work(busyMs), send(budget, 1))),
    );
    let reads = 0;
    const busy = transport((budget) => {
      reads++;
      clock.work(busyMs);
      send(budget, 512);
    });
    send(busy.budget, 512);
    for (let n = 0; n < 400; n++) {
      for (const { isRead, budget } of quiet) if (isRead) send(budget, 1);
      await turn();
    }
    assert.ok(reads > 100, `the busy one was read ${reads} times`);
  });
});
