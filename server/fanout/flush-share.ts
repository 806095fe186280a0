import type { LoopMeter } from '../primitives/loop-meter.js';

/** The event loop should be busy for this share of the time, if flushes can be spread for it. */
const targetUtilization = 0.6;

/** From here on the loop counts as saturated: its real load is not known, so the share falls faster. */
const saturatedFrom = 0.95;

/** Time between two adjustments, in milliseconds. */
const sampleMs = 100;

/**
 * How far one adjustment goes of the way to the target, in logarithms. Utilisation grows at most in proportion to the
 * share, so anything below 1 approaches the target from one side, and does not oscillate around it.
 */
const gain = 0.5;
/** Smaller deviations, in logarithms, are noise: they change nothing. */
const deadBand = 0.08;
/** The largest step up and down, in logarithms. */
const stepMax = 0.5;
/** After a quiet time several steps are made at once, at most this many. */
const stepsMax = 10;

/** With this share the windows of all but the cheapest topics are at their maximum. A smaller one would only take longer to rise. */
const shareMin = 1 / 100;

/**
 * The share of the event loop that the flushes of one topic may take: 1 while the loop has room, less while it is
 * busier than the target. Every topic has the same share. One that needs less is not delayed at all, so a few
 * expensive topics do not slow down the many cheap ones.
 */
export class FlushShare {
  private share = 1;
  private adjustedAt = -Infinity;

  constructor(private readonly dependencies: { readonly utilization: LoopMeter }) {}

  get current(): number {
    return this.share;
  }

  /** Called with each flush; most calls do nothing. `now` is on the monotonic clock, in milliseconds. */
  adjust(now: number): void {
    const elapsedMs = now - this.adjustedAt;
    if (elapsedMs < sampleMs) return;
    this.adjustedAt = now;
    const utilization = this.dependencies.utilization();
    const steps = Math.min(stepsMax, elapsedMs / sampleMs);
    this.share = Math.min(1, Math.max(shareMin, this.share * Math.exp(steps * stepFor(utilization))));
  }
}

/** The logarithm of the factor by which the share changes. */
function stepFor(utilization: number): number {
  if (utilization >= saturatedFrom) return -stepMax;
  const deviation = Math.log(targetUtilization / Math.max(utilization, 0.01));
  if (Math.abs(deviation) < deadBand) return 0;
  return Math.min(stepMax, gain * deviation);
}
