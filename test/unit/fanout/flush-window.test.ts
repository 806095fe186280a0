import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FlushWindow } from '../../../server/fanout/flush-window.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

describe(`[HOT] FlushWindow (seed ${seed})`, () => {
  const settings = { windowMs: 5, maxWindowMs: 100 };
  /** The window after a number of flushes with this cost and size. */
  const after = (flushes: number, costMs: number, messages: number, window = new FlushWindow(settings)) => {
    for (let n = 0; n < flushes; n++) window.flushed(n * 1000, n * 1000 + costMs, messages);
    return window;
  };

  it('flushes a quiet topic at the end of the turn', () => {
    assert.equal(new FlushWindow(settings).delayMs(0), 0);
    const window = after(1, 0.1, 1);
    assert.equal(window.delayMs(settings.windowMs), 0);
    assert.equal(window.delayMs(60_000), 0);
  });

  it('delays a busy topic for the rest of its window', () => {
    const window = after(1, 0.1, 1);
    assert.equal(window.delayMs(0), 5);
    assert.equal(window.delayMs(2), 3);
  });

  it('grows with the load and shrinks when it falls', () => {
    const widths: number[] = [];
    const window = new FlushWindow(settings);
    for (const [costMs, messages] of [
      [0.1, 1],
      [1, 10],
      [2, 24],
      [10, 200],
    ] as const)
      widths.push(after(20, costMs, messages, window).currentMs);
    for (let n = 1; n < widths.length; n++) assert.ok(widths[n]! > widths[n - 1]!, widths.join(', '));
    const narrower = after(20, 1, 10, window).currentMs;
    assert.ok(narrower < widths.at(-1)! && narrower > settings.windowMs);
    assert.equal(after(60, 0.05, 1, window).currentMs, settings.windowMs);
  });

  it('waits longer if a flush has many messages than if it has few, at the same cost', () => {
    assert.ok(after(20, 2, 24).currentMs > 5 * after(20, 2, 1).currentMs);
  });

  it('ignores a single slow flush', () => {
    const window = after(20, 0.1, 10);
    window.flushed(0, 4, 10);
    assert.ok(window.currentMs < 0.5 * after(20, 4, 10).currentMs);
  });

  it('stays between its limits at any cost of flushes, and never waits longer than a window', () => {
    const flush = fc.record({
      costMs: fc.double({ min: 0, max: 1000, noNaN: true }),
      pauseMs: fc.double({ min: 0, max: 1000, noNaN: true }),
      messages: fc.integer({ min: 1, max: 100_000 }),
    });
    fc.assert(
      fc.property(fc.array(flush, { minLength: 1, maxLength: 30 }), (flushes) => {
        const window = new FlushWindow(settings);
        let now = 0;
        for (const { costMs, pauseMs, messages } of flushes) {
          now += pauseMs;
          window.flushed(now, now + costMs, messages);
          now += costMs;
          assert.ok(window.currentMs >= settings.windowMs && window.currentMs <= settings.maxWindowMs);
          assert.ok(window.delayMs(now) >= 0 && window.delayMs(now) <= window.currentMs + 1e-6);
        }
      }),
      { seed, numRuns: 500 },
    );
  });
});
