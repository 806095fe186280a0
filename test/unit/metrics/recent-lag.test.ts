import assert from 'node:assert/strict';
import { RecentLag } from '../../../server/metrics/recent-lag.js';

/** A histogram of one value. */
class FakeHistogram {
  value = 0;
  percentile(): number {
    return this.value;
  }
  reset(): void {
    this.value = 0;
  }
}

describe('[METRIC] the delay of the event loop in the last half minute', () => {
  const start = () => {
    const histogram = new FakeHistogram();
    let now = 0;
    const lag = new RecentLag({ histogram, now: () => now }, { windowMs: 1000 });
    return { histogram, lag, pass: (ms: number) => (now += ms) };
  };

  it('falls after a peak, however often it is read', () => {
    const { histogram, lag, pass } = start();
    histogram.value = 900;
    assert.equal(lag.p99(), 900, 'before the first window is over');
    pass(1000);
    assert.equal(lag.p99(), 900);
    histogram.value = 3;
    pass(500);
    assert.equal(lag.p99(), 900, 'the last whole window');
    pass(500);
    assert.equal(lag.p99(), 3);
  });

  it('does not lose a peak between two readings', () => {
    const { histogram, lag, pass } = start();
    pass(1000);
    lag.p99();
    histogram.value = 700;
    pass(5000);
    assert.equal(lag.p99(), 700);
    pass(200);
    assert.equal(lag.p99(), 700, 'a second reader sees it too');
  });
});
