import { performance } from 'node:perf_hooks';

/** Returns how busy this process was since the last call, from 0 to 1. */
export type LoopMeter = () => number;

/**
 * A meter of this process. Each user needs its own, because it measures from call to call.
 *
 * It returns the mean of two shares of the time: in which the event loop was busy, and in which the process had a
 * processor. They are the same where a processor is always free. Where others compete for it, a loop that waits for its
 * turn counts as half busy: it is late, but it also has not used what it was given.
 */
export function newLoopMeter(): LoopMeter {
  let loop = performance.eventLoopUtilization();
  let cpu = process.cpuUsage();
  let at = performance.now();
  return () => {
    const loopNow = performance.eventLoopUtilization();
    const cpuNow = process.cpuUsage();
    const now = performance.now();
    const { utilization } = performance.eventLoopUtilization(loopNow, loop);
    const cpuMs = (cpuNow.user + cpuNow.system - cpu.user - cpu.system) / 1000;
    const cpuShare = now > at ? Math.min(1, cpuMs / (now - at)) : 0;
    [loop, cpu, at] = [loopNow, cpuNow, now];
    return Math.min(1, (utilization + cpuShare) / 2);
  };
}
