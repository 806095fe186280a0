import type { IntervalHistogram } from 'node:perf_hooks';

/**
 * The delay of the event loop in the last half minute, for autoscalers: a figure since the start stays high for hours after a peak, so that
 * they would never scale down.
 *
 * It needs no timer: windows change when the metrics are read. After a time without readers, the first window is as long as that time.
 */
export class RecentLag {
  private windowStartedAt: number;
  private last: number | undefined;

  constructor(
    private readonly dependencies: {
      /** Emptied at the end of each window. */
      readonly histogram: Pick<IntervalHistogram, 'percentile' | 'reset'>;
      readonly now: () => number;
    },
    private readonly settings: { readonly windowMs: number } = { windowMs: 30_000 },
  ) {
    this.windowStartedAt = dependencies.now();
  }

  /** The 99th percentile of the last whole window, in the unit of the histogram; before its end, that of the first one so far. */
  p99(): number {
    const { histogram, now } = this.dependencies;
    const value = histogram.percentile(99);
    if (now() - this.windowStartedAt < this.settings.windowMs) return this.last ?? value;
    this.windowStartedAt = now();
    this.last = value;
    histogram.reset();
    return value;
  }
}
