import assert from 'node:assert/strict';
import { SimulatedLoop } from '../../support/simulated-loop.js';

describe('[HOT] the window follows the load', () => {
  /** 500 subscribers: a flush takes 6 ms. */
  const large = (ratePerSec: number) => ({ ratePerSec, flushMs: 6, messageMs: 0.05 });

  /** Lets the load settle, then returns the busy share of the loop and the middle of the times between flushes. */
  const settle = (loop: SimulatedLoop) => {
    loop.run(4000);
    for (const topic of loop.topics) topic.clear();
    const busy = loop.run(4000);
    const [topic] = loop.topics;
    return { busy, window: median(topic!.intervals), wait: median(topic!.waits) };
  };

  it('flushes in the turn while the load is light', () => {
    const loop = new SimulatedLoop();
    const topic = loop.add(large(50));
    const { busy } = settle(loop);
    assert.ok(busy < 0.4);
    for (const wait of topic.waits) assert.ok(Math.abs(wait - 6) < 1, `${wait}`);
  });

  it('widens as the load rises, and keeps the loop at its target', () => {
    const loop = new SimulatedLoop();
    const topic = loop.add(large(100));
    let before = 0;
    for (const rate of [500, 2000, 6000, 9000]) {
      topic.load.ratePerSec = rate;
      const { busy, window } = settle(loop);
      assert.ok(window > before, `${rate}: ${window} after ${before}`);
      assert.ok(busy < 0.66, `${rate}: ${busy}`);
      before = window;
    }
  });

  it('takes less of the loop while a flush after the other would take most of it, and not where other work does', () => {
    const loop = new SimulatedLoop();
    const topic = loop.add(large(1000));
    const { busy: light, window } = settle(loop);
    assert.ok(light < 0.52 && window < 20, `${light} ${window}`);
    topic.load.ratePerSec = 9000;
    const { busy: heavy } = settle(loop);
    assert.ok(heavy > 0.53, `${heavy}`);
  });

  it('narrows again as the load falls', () => {
    const loop = new SimulatedLoop();
    const topic = loop.add(large(9000));
    let before = settle(loop).window;
    for (const rate of [6000, 2000, 500]) {
      topic.load.ratePerSec = rate;
      const { window } = settle(loop);
      assert.ok(window < before, `${rate}: ${window} after ${before}`);
      before = window;
    }
    topic.load.ratePerSec = 50;
    settle(loop);
    for (const wait of topic.waits) assert.ok(Math.abs(wait - 6) < 1, `${wait}`);
  });

  it('goes to the maximum where other work saturates the loop', () => {
    const loop = new SimulatedLoop();
    loop.add(large(1000));
    loop.otherWork = 0.98;
    assert.ok(settle(loop).window >= 99);
    loop.otherWork = 0;
    assert.ok(settle(loop).window < 20);
  });

  it('does not oscillate: under a steady load the window stays where it is', () => {
    for (const rate of [300, 1000, 2000, 4000, 6000, 8000]) {
      const loop = new SimulatedLoop();
      loop.add(large(rate));
      loop.run(5000);
      const shares: number[] = [];
      for (let n = 0; n < 100; n++) {
        loop.run(100);
        shares.push(loop.share.current);
      }
      const [least, most] = [Math.min(...shares), Math.max(...shares)];
      assert.ok(most / least < 1.25, `${rate}: from ${least} to ${most}`);
    }
  });

  it('delays the expensive topics, and not the many cheap ones beside them', () => {
    const loop = new SimulatedLoop();
    const expensive = [loop.add(large(1000)), loop.add({ ...large(1000), flushMs: 3 })];
    const cheap = Array.from({ length: 50 }, () =>
      loop.add({ ratePerSec: 7, flushMs: 0.05, messageMs: 0.05 }),
    );
    settle(loop);
    for (const { delays } of cheap) assert.ok(delays.length > 20 && delays.every((delayMs) => delayMs === 0));
    // Both expensive ones get the same share of the loop.
    const [shares, half] = expensive.map(({ intervals, load }) => load.flushMs / median(intervals));
    assert.ok(Math.abs(shares! / half! - 1) < 0.2, `${shares} and ${half}`);
  });

  it('follows a sudden load within two seconds, and its end within one', () => {
    const loop = new SimulatedLoop();
    const topic = loop.add(large(50));
    loop.run(5000);
    topic.load.ratePerSec = 9000;
    loop.run(2000);
    assert.ok(loop.run(1000) < 0.7);
    topic.load.ratePerSec = 300;
    loop.run(1000);
    topic.clear();
    loop.run(1000);
    assert.ok(median(topic.intervals) < 15);
  });
});

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
