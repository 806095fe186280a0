import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FlushWindow } from '../../../server/fanout/flush-window.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

describe(`[HOT] FlushWindow (seed ${seed})`, () => {
  const settings = { windowMs: 5, maxWindowMs: 100 };
  const windowAt = (share: number) => new FlushWindow({ current: share }, settings);
  /** The window after a number of flushes with this cost. */
  const after = (flushes: number, costMs: number, window = windowAt(1)) => {
    for (let n = 0; n < flushes; n++) window.flushed(n * 1000, n * 1000 + costMs);
    return window;
  };

  it('flushes a quiet topic at the end of the turn', () => {
    assert.equal(windowAt(1).delayMs(0), 0);
    const window = after(1, 0.1);
    assert.equal(window.delayMs(settings.windowMs), 0);
    assert.equal(window.delayMs(60_000), 0);
  });

  it('delays a busy topic for the rest of its window', () => {
    const window = after(1, 0.1);
    assert.equal(window.delayMs(0), 5);
    assert.equal(window.delayMs(2), 3);
  });

  it('is as wide as a flush takes of the share of its topic, writes that were staged included', () => {
    const near = (width: number, expected: number) => assert.ok(Math.abs(width - expected) < 0.1, `${width}`);
    near(after(40, 8).currentMs, 8);
    near(after(40, 8, windowAt(0.5)).currentMs, 16);
    const window = windowAt(0.5);
    for (let n = 0; n < 40; n++) {
      window.flushed(n * 1000, n * 1000 + 2);
      window.wrote(6);
    }
    near(window.currentMs, 16);
  });

  it('gathers longer where a flush carries several messages, in proportion to its cost, and not where it carries one', () => {
    const widthOf = (costMs: number, messages: number) => {
      const window = windowAt(1);
      for (let n = 0; n < 40; n++) window.flushed(n * 1000, n * 1000 + costMs, messages);
      return window.currentMs;
    };
    for (const costMs of [4, 8]) {
      assert.ok(Math.abs(widthOf(costMs, 1) - Math.max(costMs, settings.windowMs)) < 0.1);
      assert.ok(Math.abs(widthOf(costMs, 1000) / costMs - 2.5) < 0.01, `${widthOf(costMs, 1000)}`);
    }
    assert.equal(widthOf(0.1, 1000), settings.windowMs, 'a small audience costs little');
    assert.equal(widthOf(80, 1000), settings.maxWindowMs);
  });

  it('ignores a single slow flush', () => {
    const window = after(20, 1, windowAt(0.1));
    window.flushed(0, 8);
    assert.ok(window.currentMs < 0.5 * after(20, 8, windowAt(0.1)).currentMs);
  });

  it('lets publishes gather until just before a flush, a quarter of the window at most', () => {
    const window = after(1, 10, windowAt(0.1));
    // A flush of 3 ms on average: 30 ms. It was at 0.
    assert.equal(window.currentMs, 30);
    for (const [now, at] of [
      [0.1, 6.5],
      [6.4, 6.5],
      [6.6, 14],
      [22, 29],
    ] as const)
      assert.ok(Math.abs(window.appendAt(now, 1) - at) < 1e-6, `${now}: ${window.appendAt(now, 1)}`);
    assert.equal(window.appendAt(29, 1), 0, 'no time is left');
    assert.equal(after(1, 0.1).appendAt(1, 1), 0, 'a flush costs little');
  });

  it('stays between its limits at any cost of flushes, and never waits longer than a window', () => {
    const flush = fc.record({
      costMs: fc.double({ min: 0, max: 1000, noNaN: true }),
      pauseMs: fc.double({ min: 0, max: 1000, noNaN: true }),
      share: fc.double({ min: 0.001, max: 1, noNaN: true }),
      leadMs: fc.double({ min: 0, max: 50, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(flush, { minLength: 1, maxLength: 30 }), (flushes) => {
        const share = { current: 1 };
        const window = new FlushWindow(share, settings);
        let now = 0;
        for (const { costMs, pauseMs, share: current, leadMs } of flushes) {
          now += pauseMs;
          share.current = current;
          window.flushed(now, now + costMs);
          now += costMs;
          const { currentMs } = window;
          assert.ok(currentMs >= settings.windowMs && currentMs <= settings.maxWindowMs);
          assert.ok(window.delayMs(now) >= 0 && window.delayMs(now) <= currentMs + 1e-6);
          const at = window.appendAt(now, leadMs);
          assert.ok(at === 0 || (at >= now - 1e-6 && at <= now + currentMs / 4 + 1e-6), `${now} ${at}`);
        }
      }),
      { seed, numRuns: 500 },
    );
  });
});
