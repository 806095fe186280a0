import { performance, type EventLoopUtilization } from 'node:perf_hooks';

/** Returns the share of time in which the event loop was busy since the last call, from 0 to 1. */
export type LoopMeter = () => number;

/** A meter of this process. Each user needs its own, because it measures from call to call. */
export function newLoopMeter(): LoopMeter {
  let last: EventLoopUtilization = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}
