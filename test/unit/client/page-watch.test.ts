import assert from 'node:assert/strict';
import { watchPage } from '../../../client/page-watch.js';
import { FakeClock } from '../../support/fake-clock.js';

/** A clock whose time of day can jump, while its timers stand still. */
class JumpingClock extends FakeClock {
  jumpedMs = 0;
  override wallTime(): number {
    return super.wallTime() + this.jumpedMs;
  }
}

describe('[CLIENT] the watch of the page', () => {
  it('wakes the connection when a timer shows that the machine has slept, and not when it is only busy', async () => {
    const clock = new JumpingClock();
    let wakes = 0;
    const stop = watchPage(clock, { wake: () => wakes++, hide: () => {} });
    clock.jumpedMs += 10_000;
    await clock.advance(5000);
    assert.equal(wakes, 0);
    clock.jumpedMs += 3_600_000;
    await clock.advance(5000);
    assert.equal(wakes, 1);
    // A clock that is set back says nothing.
    clock.jumpedMs -= 7_200_000;
    await clock.advance(10_000);
    assert.equal(wakes, 1);
    stop();
    clock.jumpedMs += 3_600_000;
    await clock.advance(60_000);
    assert.equal(wakes, 1);
  });
});
